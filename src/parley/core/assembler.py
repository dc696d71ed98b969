"""Text from token bytes: whole characters only, and never a part of a stop string."""

import codecs
from collections.abc import Sequence


class TextAssembler:
    """Turns the bytes of one sequence's tokens into text that may be sent.

    A character that is unfinished, and text that may be the beginning of a stop string, is held back until later bytes
    decide. Once a stop string is found, `is_stopped` is True and neither it nor what follows is ever returned.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        # The bytes of a character that is unfinished.
        self._begun = b""
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.is_stopped = False

    def push(self, piece: bytes) -> str:
        """The text that became safe to send with these bytes; may be empty."""
        if not self._stop and not self._begun and piece.isascii():
            # Most tokens of most requests.
            return piece.decode("ascii")
        if self.is_stopped:
            return ""
        return self._release(self._held + self._decoded(piece, is_last=False))

    def flush(self) -> str:
        """What is still held when the sequence ends; an unfinished character becomes U+FFFD."""
        if self.is_stopped:
            return ""
        text = self._release(self._held + self._decoded(b"", is_last=True))
        text, self._held = text + self._held, ""
        return text

    def _decoded(self, piece: bytes, *, is_last: bool) -> str:
        # What the library's incremental decoder does, without its two calls for each token.
        given = self._begun + piece
        text, length = codecs.utf_8_decode(given, "replace", is_last)
        self._begun = given[length:]
        return text

    def _release(self, text: str) -> str:
        if not self._stop:
            return text
        found = [position for stop in self._stop if (position := text.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            self._held = ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :] if keep else ""
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
