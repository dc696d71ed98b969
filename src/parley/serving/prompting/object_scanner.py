"""Where a JSON object ends that comes in pieces."""


class ObjectScanner:
    """Finds where a JSON object ends, over any number of pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_string = False
        self._is_escaped = False

    def end_of(self, text: str, start: int) -> int | None:
        """The position behind the object's last brace; None when it goes on behind this piece."""
        for position in range(start, len(text)):
            character = text[position]
            if self._is_string:
                self._in_string(character)
            elif character == '"':
                self._is_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    return position + 1
        return None

    def _in_string(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._is_string = False
