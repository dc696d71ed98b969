"""The event stream parser of the HTML standard, letter by letter, for tests: slow, strict, and sharing nothing with ours."""


def parse(stream: bytes) -> list[str]:
    """The data of every event that a browser would dispatch for this whole stream."""
    text = stream.decode("utf-8", errors="replace").removeprefix("\ufeff")
    events: list[str] = []
    data: list[str] = []
    for line in _lines(text):
        if line == "":
            if data:
                events.append("\n".join(data))
            data = []
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            if field == "data":
                data.append(value[1:] if value.startswith(" ") else value)
    return events


def _lines(text: str) -> list[str]:
    """The lines that are ended; what no line end follows is none."""
    lines: list[str] = []
    line = ""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character not in "\r\n":
            line += character
            continue
        if character == "\r" and text[position : position + 1] == "\n":
            position += 1
        lines.append(line)
        line = ""
    return lines
