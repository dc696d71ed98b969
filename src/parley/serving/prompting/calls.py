"""Reads calls out of an answer while it is written. What turns out to be no call is text, and none of it is lost."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from parley.core.template import ToolFormat
from parley.serving.prompting.object_scanner import ObjectScanner

# What may stand between a mark, calls and their ends.
_LEADING, _SPACES = re.compile(r"[\s,;\[\]]*"), re.compile(r"\s*")
_HEAD = re.compile(r'\{\s*"name"\s*:\s*"([A-Za-z0-9_-]{1,64})"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')
# What ends a call's object behind its arguments.
_TAIL = re.compile(r'\s*(?:,\s*"id"\s*:\s*"[^"\\]{0,64}"\s*)?\}')
# What the head of a call that is no object may begin with, and how long it is at most: a name, two marks and an id.
_BEGINNING_OF_BARE_HEAD = re.compile(r"\s*[A-Za-z0-9_\-\[\]]*\s*")
_MOST_OF_BARE_HEAD = 256
_BEGINNING_OF_TAIL = re.compile(r'\s*(?:,\s*(?:"[a-z"\s:A-Z0-9_-]{0,80})?)?')


@dataclass(frozen=True, slots=True)
class Words:
    """Text that is no call."""

    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A call begins."""

    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """The next piece of the arguments of the call that began last."""

    text: str


Part = Words | Name | Arguments


class _State(Enum):
    START = auto()
    # Inside what the model only thinks.
    THOUGHT = auto()
    TEXT = auto()
    # Behind a mark, or at a { that may be a call.
    CALL = auto()
    ARGUMENTS = auto()
    # Behind the arguments, inside the call's object.
    TAIL = auto()
    AFTER = auto()


class CallParser:
    """One answer. `push` it piece by piece, then `end` it once."""

    def __init__(self, form: ToolFormat, names: frozenset[str], *, most_calls: int | None = None) -> None:
        """`names` are the functions that may be called. Calls beyond `most_calls` are text."""
        self._form = form
        self._names = names
        self._calls_left = most_calls
        # What is not decided yet, from the first character that may belong to a call.
        self._held = ""
        self._state = _State.START
        self._scanner = ObjectScanner()
        # How far a call that is not known as one yet was scanned.
        self._scanned = 0
        self._bare_head = _bare_head(form) if form.arguments_mark else None
        self._steps: dict[_State, Callable[[list[Part]], bool]] = {
            _State.START: self._start,
            _State.THOUGHT: self._thought,
            _State.TEXT: self._text,
            _State.CALL: self._call,
            _State.ARGUMENTS: self._arguments,
            _State.TAIL: self._tail,
            _State.AFTER: self._after,
        }

    @property
    def first_characters(self) -> str:
        """What an answer that begins with a call begins with."""
        return self._form.mark[:1] or "{"

    def push(self, text: str) -> list[Part]:
        """What is decided with this piece."""
        self._held += text
        parts: list[Part] = []
        while self._held and self._steps[self._state](parts):
            pass
        return parts

    def end(self) -> list[Part]:
        """What was held back: text, unless it only closes a call."""
        held, self._held = self._held, ""
        is_tail = self._state is _State.TAIL and _is_beginning_of_tail(held)
        if is_tail or (self._state is _State.AFTER and self._is_closing(held)):
            return []
        return [Words(held)] if held else []

    def _start(self, _parts: list[Part]) -> bool:
        """Whether the model thinks first; or, in a family without a mark, whether the answer is a call."""
        said, form = self._held.lstrip(), self._form
        opening = form.lead if form.thought is None else form.thought.before
        if not said and (opening or not form.mark):
            return False
        if opening and said != opening and opening.startswith(said):
            return False
        if form.thought is not None and said.startswith(opening):
            self._state = _State.THOUGHT
        elif form.mark:
            self._expect_text()
        else:
            first = said.removeprefix(form.lead).lstrip()[:1]
            if not first:
                return False
            (self._expect_call if first == "{" else self._expect_text)()
        return True

    def _thought(self, parts: list[Part]) -> bool:
        """To the end of the thought, which is text."""
        end = self._form.thought.after if self._form.thought is not None else ""
        position = self._held.find(end)
        if position < 0:
            self._say(parts, len(self._held) - _overlap(self._held, end))
            return False
        self._say(parts, position + len(end))
        self._expect_text()
        return True

    def _text(self, parts: list[Part]) -> bool:
        mark = self._form.mark
        position = self._held.find(mark) if mark and self._calls_left != 0 else -1
        if position >= 0:
            # The space before a call belongs to it; it comes back if the call turns out to be none.
            position = len(self._held[:position].rstrip())
            self._say(parts, position)
            self._expect_call()
            return True
        kept = _undecided(self._held, mark) if mark and self._calls_left != 0 else 0
        self._say(parts, len(self._held) - kept)
        return False

    def _call(self, parts: list[Part]) -> bool:
        start = self._call_start()
        if start == len(self._held):
            return False
        if self._bare_head is not None:
            return self._bare_call(self._bare_head, start, parts)
        if self._held[start] != "{":
            self._say(parts, start)
            self._expect_text()
            return True
        head = _HEAD.match(self._held, start)
        if head is not None and head[1] in self._names:
            self._begin(parts, head[1])
            self._held = self._held[head.end() :]
            self._scanner = ObjectScanner()
            self._state = _State.ARGUMENTS
            return True
        end = self._scanner.end_of(self._held, max(start, self._scanned))
        if end is None:
            self._scanned = len(self._held)
            return False
        self._whole_call(parts, start, end)
        return True

    def _bare_call(self, head: re.Pattern[str], start: int, parts: list[Part]) -> bool:
        """A call that is no object, from its name on."""
        found = head.match(self._held, start)
        if found is not None and found[1] in self._names:
            self._begin(parts, found[1])
            self._held = self._held[found.end() :]
            self._scanner = ObjectScanner()
            self._state = _State.ARGUMENTS
            return True
        rest = self._held[start:]
        if len(rest) <= _MOST_OF_BARE_HEAD and _BEGINNING_OF_BARE_HEAD.fullmatch(rest):
            return False
        self._say(parts, start)
        self._expect_text()
        return True

    def _whole_call(self, parts: list[Part], start: int, end: int) -> None:
        """An object that is complete, and was not known as a call while it was written."""
        call = _read_call(self._held[start:end], self._names)
        if call is None:
            self._say(parts, end)
            self._expect_text()
            return
        name, arguments = call
        self._begin(parts, name)
        parts.append(Arguments(arguments))
        self._held = self._held[end:]
        self._state = _State.AFTER

    def _arguments(self, parts: list[Part]) -> bool:
        end = self._scanner.end_of(self._held, 0)
        piece = self._held if end is None else self._held[:end]
        parts.append(Arguments(piece))
        self._held = self._held[len(piece) :]
        if end is not None:
            # Only a call that is an object goes on behind them.
            self._state = _State.TAIL if self._bare_head is None else _State.AFTER
        return end is not None

    def _tail(self, _parts: list[Part]) -> bool:
        """The end of the call's object, with an id before it in some families; an object that was left open ends here."""
        tail = _TAIL.match(self._held)
        if tail is None and _is_beginning_of_tail(self._held):
            return False
        self._held = self._held[tail.end() :] if tail is not None else self._held
        self._state = _State.AFTER
        return True

    def _after(self, _parts: list[Part]) -> bool:
        """Behind a call: its end, a further call, or text again."""
        held = self._held
        rest = held[self._between(held) :]
        close = self._form.close
        if not rest or (close and close != rest and close.startswith(rest)):
            return False
        if close and rest.startswith(close):
            self._held = rest[len(close) :]
            return True
        is_next = rest.startswith("{") or (self._form.mark and rest.startswith(self._form.mark))
        if is_next and self._calls_left != 0:
            self._expect_call()
            return True
        if self._form.mark and self._calls_left != 0 and self._form.mark.startswith(rest):
            return False
        self._expect_text()
        return True

    def _expect_call(self) -> None:
        self._state, self._scanner, self._scanned = _State.CALL, ObjectScanner(), 0

    def _expect_text(self) -> None:
        self._state = _State.TEXT

    def _call_start(self) -> int:
        """Where the call's object should begin, behind spaces, the mark and brackets."""
        position = len(self._held) - len(self._held.lstrip())
        if self._held.startswith(self._form.lead, position):
            position += len(self._form.lead)
        if self._form.mark and self._held.startswith(self._form.mark, position):
            position += len(self._form.mark)
        return self._between(self._held, position)

    def _between(self, text: str, position: int = 0) -> int:
        """The position behind what may stand between calls; a bracket may be a mark's where calls are no objects."""
        found = (_LEADING if self._bare_head is None else _SPACES).match(text, position)
        return position if found is None else found.end()

    def _begin(self, parts: list[Part], name: str) -> None:
        parts.append(Name(name))
        if self._calls_left is not None:
            self._calls_left -= 1

    def _say(self, parts: list[Part], length: int) -> None:
        if length:
            parts.append(Words(self._held[:length]))
            self._held = self._held[length:]

    def _is_closing(self, text: str) -> bool:
        rest = text[self._between(text) :]
        return not rest or bool(self._form.close and self._form.close.startswith(rest))


def _read_call(text: str, names: frozenset[str]) -> tuple[str, str] | None:
    """Name and arguments of a call that is written in another order, or without arguments; None for anything else."""
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or call["name"] not in names:
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    return (call["name"], json.dumps(arguments)) if isinstance(arguments, dict) else None


def _is_beginning_of_tail(text: str) -> bool:
    return _BEGINNING_OF_TAIL.fullmatch(text) is not None


def _bare_head(form: ToolFormat) -> re.Pattern[str]:
    """Name, perhaps an id, and the mark of the arguments, which stands before them or not."""
    call_id = f"(?:{re.escape(form.id_mark)}[A-Za-z0-9_-]{{1,64}})?" if form.id_mark else ""
    return re.compile(rf"([A-Za-z0-9_-]{{1,64}}){call_id}(?:{re.escape(form.arguments_mark)})?\s*(?=\{{)")


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end may be the beginning of a mark."""
    return next((n for n in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:n])), 0)


def _undecided(text: str, mark: str) -> int:
    """How many characters at the end may be the space before a mark, or its beginning."""
    overlap = _overlap(text, mark)
    before = text[: len(text) - overlap]
    return overlap + len(before) - len(before.rstrip())
