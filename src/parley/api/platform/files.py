"""Replies that are files: CSV or JSON lines, as the query's `format` asks."""

from collections.abc import Iterable, Sequence

from starlette.responses import Response
from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.platform.listing import choice
from parley.operations.exports import MEDIA_TYPES, Form, written


def file_reply(call: Call, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> ASGIApp:
    """The rows as a file that browsers keep under `name`. Raises InvalidRequest for a format that is none."""
    form = Form(choice(call.http, "format", tuple(Form), Form.JSON_LINES))
    headers = {"content-disposition": f'attachment; filename="{name}.{form.value}"', **call.reply_headers}
    return Response("".join(written(columns, rows, form)), media_type=MEDIA_TYPES[form], headers=headers)
