"""`make faults`: rows of the list of faults at their full size, in one table of what is demanded and what was seen.

python -m tests.faults.figures [ROW ...]
"""

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.body_rows import f13
from tests.faults.connection_rows import d5, d6, d7, d11
from tests.faults.hours_rows import g1_hours
from tests.faults.media_rows import g1, g3, g15
from tests.faults.money_rows import a1, a3, a4, a4_on_postgresql, a5, a6
from tests.faults.overload_rows import e1, e2, i7, i11, i15
from tests.faults.process_rows import FULL, Figure
from tests.faults.process_rows import ROWS as PROCESS_ROWS
from tests.faults.schema_rows import f9
from tests.faults.storage_rows import b1, b2, b3, b7
from tests.small_disk import NotHere

ROWS = (
    a1,
    a3,
    a4,
    a4_on_postgresql,
    a5,
    a6,
    b1,
    b2,
    b3,
    b7,
    *PROCESS_ROWS,
    d5,
    d6,
    d7,
    d11,
    e1,
    e2,
    i7,
    i11,
    i15,
    f9,
    f13,
    g1,
    g1_hours,
    g3,
    g15,
)
_WIDTHS = (4, 78, 24, 24)


def line(*cells: str) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def show(figure: Figure) -> None:
    mark = "" if figure.holds else "   <-- FAILS"
    print(line(figure.row, figure.what, figure.demanded, figure.seen) + mark, flush=True)


def main() -> int:
    """0 when every figure holds."""
    # Engines that end are what it is all about.
    logging.getLogger("parley").setLevel(logging.CRITICAL)
    wanted = [name.lower() for name in sys.argv[1:]]
    num_failing = 0
    print(line("row", "what", "demanded", "seen"))
    for row in ROWS:
        if wanted and row.__name__ not in wanted:
            continue
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="parley-faults-") as folder:
            try:
                figures = asyncio.run(row(Path(folder), FULL))
            except NotHere as lack:
                print(f"{row.__name__.upper()}: {lack}", flush=True)
                continue
        for figure in figures:
            show(figure)
            num_failing += not figure.holds
        print(f"      ({time.monotonic() - begin:.0f} s)", flush=True)
    print(f"{num_failing} figures do not hold" if num_failing else "every figure holds")
    return 1 if num_failing else 0


if __name__ == "__main__":
    sys.exit(main())
