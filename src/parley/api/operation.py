"""What the OpenAPI document says of one handler."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one handler reads and answers.

    `chunk` is what each event of its stream holds, `last_chunk` the last one where that is another. `is_form`: the request
    is a form, and some replies are plain text.
    """

    request: type[msgspec.Struct] | None = None
    reply: type[msgspec.Struct] | None = None
    chunk: type[msgspec.Struct] | None = None
    last_chunk: type[msgspec.Struct] | None = None
    is_form: bool = False
    is_retired: bool = False
