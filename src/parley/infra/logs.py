"""Logs: one event per line, a constant message with its values as fields, and no secret on any line."""

import json
import logging
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TextIO

import msgspec

# A key: also right behind a word, where it is as long as no word's end. Then PostgreSQL's words on a row that it refused.
_SECRET = re.compile(
    r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8,}|sk-[A-Za-z0-9_-]{20,}|(?<=[Bb]earer )\S+|(?<=DETAIL:  )[^\n]+"
)
_REDACTED = "[redacted]"
# Attributes that every LogRecord has; whatever else a record carries was handed in as a field.
_FIRST_ATTRIBUTES = tuple(vars(logging.makeLogRecord({})))
_PLAIN_ATTRIBUTES = frozenset({*_FIRST_ATTRIBUTES, "message", "asctime", "taskName"})
_LEVEL_NAMES = {logging.DEBUG: "DEBUG", logging.INFO: "INFO"}
# Values that both encoders write alike.
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
# C0, DEL, C1 and the Unicode line ends: what moves a terminal's cursor or begins a new line in some reader.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Redactor:
    """Replaces what is secret in a line: all that looks like an API key, a row's values, and the `secrets` that were named."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        named = [secret for secret in sorted(secrets, key=len, reverse=True) if secret]
        self._pattern = re.compile("|".join([*map(re.escape, named), _SECRET.pattern]))
        # One of these is in every text that the pattern matches; most texts have none, and are done with.
        self._marks = ("sk-", "earer ", "DETAIL:  ", *named)

    def clean(self, text: str) -> str:
        """`text` without secrets."""
        for mark in self._marks:
            if mark in text:
                return self._pattern.sub(_REDACTED, text)
        return text


class LineFormatter(logging.Formatter, ABC):
    """How an event is written. `line` needs no LogRecord, which takes longer to make than the line."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end, and the traceback when there is one."""
        trace = ""
        if record.exc_info and record.exc_info[0] is not None:
            trace = self.formatException(record.exc_info)
        return self.line(
            record.created, record.levelname, record.name, record.getMessage(), _fields(record), trace=trace
        )

    @abstractmethod
    def line(
        self, created: float, level: str, logger: str, message: str, fields: Mapping[str, object], /, *, trace: str = ""
    ) -> str:
        """As `format`; `created` is in seconds since the epoch."""


class JsonFormatter(LineFormatter):
    """One JSON object per event, ASCII only: time, level, logger, message, then its fields."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(redactor)
        self._encode = json.JSONEncoder(default=str, separators=(",", ":")).encode
        self._encode_plain = msgspec.json.Encoder().encode
        # A second, and how it is written: most lines of a busy server are of the same one as the line before.
        self._second = (0, "")

    def line(
        self, created: float, level: str, logger: str, message: str, fields: Mapping[str, object], /, *, trace: str = ""
    ) -> str:
        entry: dict[str, object] = {
            "time": self._time(created),
            "level": level.lower(),
            "logger": logger,
            "message": message,
        }
        entry |= fields
        if trace:
            entry["traceback"] = trace
        plain = self._plain(entry)
        if plain is not None:
            return plain
        # Cleaned before it is encoded: afterwards an escape could split what the pattern looks for.
        return self._encode(_cleaned(entry, self._redactor)).replace("\x7f", "\\u007f")

    def _time(self, created: float) -> str:
        milliseconds = int(created * 1000)
        second, rest = divmod(milliseconds, 1000)
        if second != self._second[0]:
            self._second = (second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
        return f"{self._second[1]}.{rest:03d}+00:00"

    def _plain(self, entry: dict[str, object]) -> str | None:
        """The line of an entry in which nothing is to be escaped or redacted, as nearly all are; a fifth of the time."""
        if not _PLAIN_TYPES.issuperset(map(type, entry.values())):
            return None
        try:
            line = self._encode_plain(entry)
        except UnicodeEncodeError:
            return None
        if b"\\" in line or b"\x7f" in line or not line.isascii():
            return None
        text = line.decode("ascii")
        return text if self._redactor.clean(text) is text else None


class TextFormatter(LineFormatter):
    """One line for people: time, level, message, fields. A traceback follows on lines of its own."""

    def line(
        self,
        created: float,
        level: str,
        _logger: str,
        message: str,
        fields: Mapping[str, object],
        /,
        *,
        trace: str = "",
    ) -> str:
        moment = datetime.fromtimestamp(created).astimezone().strftime("%H:%M:%S")
        told = "".join(f" {name}={value}" for name, value in fields.items())
        line = _escape(self._redactor.clean(f"{moment} {level.lower():7} {message}{told}"))
        return "\n".join([line, *(_escape(part) for part in self._redactor.clean(trace).splitlines())])


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream."""

    def __init__(self, stream: TextIO, formatter: LineFormatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._line = formatter.line

    def tell(self, now: float, level: int, logger: str, message: str, fields: Mapping[str, object]) -> bool:
        """Write an event's line; False where the stream does not take it."""
        line = self._line(now, _LEVEL_NAMES[level], logger, message, fields)
        self.acquire()
        try:
            self.stream.write(line + self.terminator)
            self.stream.flush()
        except (OSError, ValueError):
            return False
        finally:
            self.release()
        return True


def configure_logging(
    *, level: str, style: str = "auto", stream: TextIO | None = None, secrets: Iterable[str] = ()
) -> None:
    """Send every logger's lines to `stream` (stderr) as `style` says: json, text, or auto (text on a terminal)."""
    target = stream if stream is not None else sys.stderr
    is_text = style == "text" or (style == "auto" and target.isatty())
    redactor = Redactor(secrets)
    root = logging.getLogger()
    root.handlers[:] = [LineHandler(target, TextFormatter(redactor) if is_text else JsonFormatter(redactor))]
    root.setLevel(level.upper())
    # Nobody reads these, and each line pays for them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # The documented way to leave out the place in the code, which our lines do not show.
    logging._srcfile = None  # type: ignore[attr-defined,unused-ignore]  # noqa: SLF001
    # What these say below a warning is of their own insides, and says nothing to an operator.
    for name in ("asyncio", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)


def log_fields(logger: logging.Logger, level: int, message: str, fields: Mapping[str, object], *, now: float) -> None:
    """As `logger.log` with `extra`, for the lines of every request: at a third of the price where nobody but our own handler
    listens. `level` is DEBUG or INFO, the logger one of a module, without handlers; `now` in seconds since the epoch."""
    if not logger.isEnabledFor(level):
        return
    handlers = logging.root.handlers
    if len(handlers) == 1:
        handler = handlers[0]
        if isinstance(handler, LineHandler) and handler.tell(now, level, logger.name, message, fields):
            return
    record = logging.LogRecord(logger.name, level, "", 0, message, (), None)
    vars(record).update(fields)
    logger.handle(record)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    # A record sets its own attributes first, in their order.
    handed_in = islice(vars(record).items(), len(_FIRST_ATTRIBUTES), None)
    return {name: value for name, value in handed_in if name not in _PLAIN_ATTRIBUTES}


def _cleaned(value: object, redactor: Redactor) -> object:
    """`value` with every text in it cleaned, whatever its depth; what JSON does not know becomes text first."""
    if isinstance(value, dict):
        return {redactor.clean(str(key)): _cleaned(inner, redactor) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(inner, redactor) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redactor.clean(str(value))


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
