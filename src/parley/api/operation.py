"""What the OpenAPI document says of one handler."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one handler reads and answers. `chunk` is what each event of its stream holds."""

    request: type[msgspec.Struct] | None = None
    reply: type[msgspec.Struct] | None = None
    chunk: type[msgspec.Struct] | None = None
    is_retired: bool = False
