"""Tables on the terminal; one row per line where a program reads them."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

# Wide enough that nothing is folded.
_WIDTH_FOR_PROGRAMS = 1000


def shown_size(num_bytes: int) -> str:
    """A size for people."""
    return f"{num_bytes / 1e9:,.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:,.1f} MB"


def escaped(text: str) -> str:
    """A text that others chose, without what would begin a line or move a terminal's cursor."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows under their headings to stdout."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDTH_FOR_PROGRAMS
    console.print(table)


def print_lines(columns: Sequence[str], lines: Iterable[Mapping[str, str]]) -> None:
    """Print lines that name their cells; a cell that is missing is empty."""
    print_table(columns, [tuple([line.get(column, "") for column in columns]) for line in lines])
