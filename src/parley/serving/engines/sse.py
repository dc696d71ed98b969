"""Server-sent events out of bytes, wherever the bytes were cut: the parser of the HTML standard, with bounds."""

import re
from collections.abc import Iterator

# No honest event is longer; a longer one would only fill our memory.
MAX_EVENT_BYTES = 1 << 22
# No honest stream has more between two events: ten comments a second for twenty minutes.
_MAX_LINES = 1 << 15
# The byte order mark that a stream may begin with.
_MARK = b"\xef\xbb\xbf"
_FIELD = re.compile(rb"[A-Za-z0-9_-]*(?::|$)")


class NoEventStream(Exception):
    """What came cannot be read as server-sent events."""


class SseReader:
    """Cuts a stream into the contents of its `data` fields. Comments and all other fields are skipped.

    A line ends with CR, LF or both. What no empty line ended is never told.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        # The beginning of the stream, as long as it may be a byte order mark; None from then on.
        self._beginning: bytes | None = b""
        # Whether an LF that comes now belongs to the line end that came last.
        self._has_cr = False
        self._line = bytearray()
        self._size = 0
        self._num_lines = 0
        self._fields: list[bytes] = []

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The events that are complete now. Raises NoEventStream for one that is too long, for lines of nonsense or without end."""
        received = self._after_mark(received)
        if not received:
            return
        for line in self._ended_lines(received):
            if line.startswith(b":"):
                continue
            if line:
                self._take(line)
            elif self._fields:
                yield b"\n".join(self._fields)
                self._fields = []
                self._size = self._num_lines = 0
        if self._num_lines > _MAX_LINES:
            raise NoEventStream(f"more than {_MAX_LINES} lines without an event")
        if len(self._line) > self._max_event_bytes:
            raise NoEventStream(f"a line of more than {self._max_event_bytes} bytes")

    def _ended_lines(self, received: bytes) -> list[bytes]:
        """The lines that are complete now; the beginning of the next one is kept."""
        if self._has_cr:
            received = received.removeprefix(b"\n")
        self._has_cr = received.endswith(b"\r")
        if b"\r" in received:
            received = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *ended, rest = received.split(b"\n")
        if ended and self._line:
            ended[0] = bytes(self._line) + ended[0]
            self._line.clear()
        if rest:
            self._line += rest
        self._num_lines += len(ended)
        return ended

    def _after_mark(self, received: bytes) -> bytes:
        """The bytes without the mark that may stand before them all; nothing while that is open."""
        if self._beginning is None:
            return received
        beginning = self._beginning + received
        if len(beginning) < len(_MARK) and _MARK.startswith(beginning):
            self._beginning = beginning
            return b""
        self._beginning = None
        return beginning.removeprefix(_MARK)

    def _take(self, line: bytes) -> None:
        if _FIELD.match(line) is None:
            # A page or a bare JSON object; an unknown field's name would look like a name.
            raise NoEventStream(f"a line that is no field: {line[:80]!r}")
        name, _, value = line.partition(b":")
        if name == b"data":
            # The line end counts too: fields without anything in them are no way around the bound.
            self._size += len(value) + 1
            if self._size > self._max_event_bytes:
                raise NoEventStream(f"an event of more than {self._max_event_bytes} bytes")
            self._fields.append(value.removeprefix(b" "))
