"""`parley usage`: what was used and what it cost. Reads only, beside a running server too."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from parley.cli.failures import in_one_line
from parley.cli.options import folder_option, form_options
from parley.cli.state import require_installation
from parley.cli.tables import print_table
from parley.core.clock import SystemClock
from parley.core.money import format_dollars
from parley.domain.usage.model import Dimension, Span, SumFilter, Width
from parley.infra.settings import load_settings
from parley.operations.exports import Form, written
from parley.operations.usage_reading import COLUMNS, Question, Table, read_usage

_WIDTHS = {"minute": Width.MINUTE, "hour": Width.HOUR, "day": Width.DAY}
_DIMENSIONS = {
    "org": Dimension.ORGANIZATION,
    "project": Dimension.PROJECT,
    "user": Dimension.USER,
    "key": Dimension.KEY,
    "model": Dimension.MODEL,
    "endpoint": Dimension.ENDPOINT,
}
_DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option(
    "--by",
    "by",
    default="day,model",
    show_default=True,
    metavar="LIST",
    help="What to group by: day (or hour, minute), model, project, key, endpoint, user, org; with commas.",
)
@click.option("--since", type=_DATE, help="The first day, in UTC. [30 days ago]", metavar="DATE")
@click.option("--until", type=_DATE, help="The last day, in UTC. [today]", metavar="DATE")
@click.option("--org", help="Id of one organization. [all]", metavar="ID")
@form_options
@folder_option
def command(
    by: str, since: datetime | None, until: datetime | None, org: str | None, form: Form | None, data: Path | None
) -> None:
    """Show requests, tokens and costs, from the server's own records. Days are of UTC."""
    widths, dimensions = _asked(by)
    width = _WIDTHS[widths[0]] if widths else Width.DAY
    now = SystemClock().now()
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=30) if since is None else since.replace(tzinfo=UTC)
    try:
        last = (today if until is None else until.replace(tzinfo=UTC)) + timedelta(days=1)
    except OverflowError:
        raise click.UsageError("--until is the last day that there is") from None
    if first >= last:
        raise click.UsageError("--since is after --until")
    span = Span(width=width, since=int(first.timestamp()), until=int(last.timestamp()), is_split=bool(widths))
    question = Question(wanted=SumFilter(organization_id=org), span=span, group_by=dimensions)
    with in_one_line():
        settings = load_settings({"data": data})
        require_installation(settings)
        table = read_usage(settings, question)
    if form is not None:
        for line in written(table.columns, table.rows, form):
            click.echo(line, nl=False)
    elif table.rows:
        _print(table, dimensions)
    else:
        click.echo("Nothing was used in that time.")
    if table.is_cut:
        click.echo(f"Only the first {question.limit:,} rows are shown.", err=True)


def _asked(by: str) -> tuple[list[str], tuple[Dimension, ...]]:
    """The steps of time that `--by` names, of which there may be one, and the dimensions. Raises UsageError."""
    words = [word.strip() for word in by.split(",") if word.strip()]
    if unknown := [word for word in words if word not in _WIDTHS and word not in _DIMENSIONS]:
        raise click.UsageError(f"--by knows {', '.join([*_WIDTHS, *_DIMENSIONS])}, not {unknown[0]!r}")
    widths = [word for word in words if word in _WIDTHS]
    if len(widths) > 1:
        raise click.UsageError(f"--by takes one of {', '.join(_WIDTHS)}")
    return widths, tuple(dict.fromkeys(_DIMENSIONS[word] for word in words if word in _DIMENSIONS))


def _print(table: Table, dimensions: Sequence[Dimension]) -> None:
    """For people: a name beside its id in one column, columns without any value left out, costs not rounded."""
    lines = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    headings = ["start"] if "start" in table.columns else []
    for dimension in dimensions:
        named, *names = COLUMNS[dimension]
        heading = names[0] if names else named
        headings.append(heading)
        for line in lines if names else ():
            line[heading] = f"{line[named] or ''} ({line[heading]})" if line[heading] else line[named]
    counts = ["requests", "input_tokens", "cached_tokens", "output_tokens", "audio_seconds", "images"]
    headings += [name for name in counts if name == "requests" or any(line[name] for line in lines)]
    rows = [[*(_shown(line[heading]) for heading in headings), _dollars(line["cost_nano"])] for line in lines]
    print_table([heading.upper().replace("_", " ") for heading in [*headings, "cost"]], rows)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _dollars(nano: object) -> str:
    return format_dollars(nano) if isinstance(nano, int) else ""
