"""Server-sent events out of bytes, wherever the bytes were cut."""

from collections.abc import Iterator

# No honest event is longer; a longer one would only fill our memory.
MAX_EVENT_BYTES = 1 << 22


class NoEventStream(Exception):
    """What came cannot be read as server-sent events."""


class SseReader:
    """Cuts a stream into the contents of its `data` fields. Comments, names and ids of events are skipped."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = b""
        self._size = 0
        self._fields: list[bytes] = []

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The events that are complete now. Raises NoEventStream for one that is too long, and for lines of nonsense."""
        # A CR may be half of a CRLF, whose LF comes with the next bytes.
        text = self._rest + received
        *lines, self._rest = text.replace(b"\r\n", b"\n").split(b"\n")
        if len(self._rest) > self._max_event_bytes:
            raise NoEventStream(f"a line of more than {self._max_event_bytes} bytes")
        for line in lines:
            if line:
                self._take(line)
            elif self._fields:
                yield b"\n".join(self._fields)
                self._fields = []
                self._size = 0

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name not in (b"", b"data", b"event", b"id", b"retry"):
            raise NoEventStream(f"a line that is no field: {line[:80]!r}")
        if name == b"data":
            self._size += len(value)
            if self._size > self._max_event_bytes:
                raise NoEventStream(f"an event of more than {self._max_event_bytes} bytes")
            self._fields.append(value.removeprefix(b" "))
