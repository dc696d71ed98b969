"""Records as text files: rows under their columns, as CSV or as one JSON object a line."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from types import MappingProxyType

# A spreadsheet takes a cell that begins so for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Form(StrEnum):
    """How a file is written; the values are what a query or an option says."""

    CSV = "csv"
    JSON_LINES = "jsonl"


MEDIA_TYPES: Mapping[Form, str] = MappingProxyType(
    {Form.CSV: "text/csv; charset=utf-8", Form.JSON_LINES: "application/jsonl"}
)


def written(columns: Sequence[str], rows: Iterable[Sequence[object]], form: Form) -> Iterator[str]:
    """A whole file, line by line."""
    return chain([heading(columns, form)], lines(columns, rows, form))


def heading(columns: Sequence[str], form: Form) -> str:
    """What a file begins with: of CSV the line that names the columns."""
    return "".join(lines(columns, [columns], form)) if form is Form.CSV else ""


def lines(columns: Sequence[str], rows: Iterable[Sequence[object]], form: Form) -> Iterator[str]:
    """A line for each row, with its end. Texts become no formulas."""
    if form is Form.JSON_LINES:
        for row in rows:
            yield json.dumps(dict(zip(columns, row, strict=True))) + "\n"
        return
    line = io.StringIO()
    writer = csv.writer(line)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    shown = json.dumps(value) if isinstance(value, dict) else str(value)
    return "'" + shown if shown.startswith(_FORMULA_STARTS) else shown
