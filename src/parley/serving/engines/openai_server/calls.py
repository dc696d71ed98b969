"""Calls of functions, both ways: what is declared to a server in OpenAI's words, and the calls in its stream as events."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from parley.core.errors import EngineFailed
from parley.core.events import CallDelta, CallStarted
from parley.core.ids import new_id
from parley.core.requests import ChatMessage, ChatPrompt, Function, Schema, ToolCall, ToolChoice, Tools
from parley.core.template import Role
from parley.core.upstream import UpstreamKind
from parley.serving.engines.openai_server.frames import WireCall

# No answer has more; a server that counts on is broken.
_MOST_CALLS = 128
# In one chunk. An honest one has a piece of each call at most.
_MOST_PIECES = 1024
# A call with others behind it is judged at each chunk of it that may be its last; one that never is whole waits for the end.
_MOST_LOOKS = 64


def tool_fields(prompt: ChatPrompt, kind: UpstreamKind) -> dict[str, object]:
    """`tools`, `tool_choice` and `response_format`, as far as they are asked for. 2023's functions become tools."""
    fields: dict[str, object] = {}
    if prompt.answer is not None:
        fields["response_format"] = _format(prompt.answer)
    if prompt.tools is not None:
        fields["tools"] = [{"type": "function", "function": _declared(function)} for function in prompt.tools.functions]
        choice = _choice(prompt.tools)
        if choice is not None:
            fields["tool_choice"] = choice
        if not prompt.tools.is_parallel and kind is UpstreamKind.OPENAI:
            fields["parallel_tool_calls"] = False
    return fields


def call_fields(message: ChatMessage) -> dict[str, object]:
    """What a message has besides its words: the calls that were made, or the call that it answers."""
    if message.role in (Role.TOOL, Role.FUNCTION):
        return {"role": Role.TOOL.value, "tool_call_id": message.call_id or _made_id(message.name)}
    if not message.calls:
        return {}
    return {"tool_calls": [_call(call) for call in message.calls]}


@dataclass(slots=True)
class _Call:
    """One call as far as it came: the pieces of its arguments, and how many of them were told. `started` is told first."""

    started: CallStarted | None
    arguments: list[str] = field(default_factory=list)
    num_told: int = 0
    num_looks: int = 0

    def look_whole(self) -> bool:
        """Whether its arguments are complete. Reads them all, and so not any number of times."""
        if self.num_looks == _MOST_LOOKS or not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        self.num_looks += 1
        try:
            msgspec.json.decode("".join(self.arguments))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


class CallReader:
    """The calls of one sequence. Of an answer that may have one call, further ones are not told.

    Servers may write several calls at a time, a piece of one and a piece of the other: each piece names its own. They are
    told one after the other, since clients take a call for whole when the next one begins.
    """

    def __init__(self, sequence: int, *, is_single: bool) -> None:
        self._sequence = sequence
        self._is_single = is_single
        self._calls: list[_Call] = []
        # The call that is told now; those behind it wait until it is whole.
        self._current = 0
        # Our number of a call, by the server's.
        self._numbers: dict[int, int] = {}

    @property
    def num_calls(self) -> int:
        return len(self._calls)

    def push(self, pieces: list[WireCall]) -> Iterator[CallStarted | CallDelta]:
        """The events of one chunk. Raises EngineFailed for arguments of a call that never began, and for endless pieces."""
        if len(pieces) > _MOST_PIECES:
            raise EngineFailed("the upstream sent a chunk of endless calls")
        # Only they change what is told now: a piece of the call that is told, and a call that waits for it.
        is_ripe = False
        for piece in pieces:
            number = self._number_of(piece)
            is_begun = number is None
            if number is None:
                number = self._begin(piece)
            if piece.function.arguments:
                self._calls[number].arguments.append(piece.function.arguments)
            is_ripe = is_ripe or is_begun or number == self._current
        if is_ripe:
            yield from self._ripe()

    def end(self) -> Iterator[CallStarted | CallDelta]:
        """What still waited, when nothing more comes."""
        for number in range(self._current, min(1, self.num_calls) if self._is_single else self.num_calls):
            yield from self._untold(number)

    def _ripe(self) -> Iterator[CallStarted | CallDelta]:
        while True:
            yield from self._untold(self._current)
            if self._is_single or self._current + 1 == self.num_calls or not self._calls[self._current].look_whole():
                return
            self._current += 1

    def _untold(self, number: int) -> Iterator[CallStarted | CallDelta]:
        """What came of a call since it was told last."""
        call = self._calls[number]
        if call.started is not None:
            yield call.started
            call.started = None
        if call.num_told < len(call.arguments):
            yield CallDelta(self._sequence, number, "".join(call.arguments[call.num_told :]))
            call.num_told = len(call.arguments)

    def _number_of(self, piece: WireCall) -> int | None:
        """The call that a piece goes on with; None where it begins one."""
        if piece.index is not None and piece.index in self._numbers:
            return self._numbers[piece.index]
        if piece.function.name:
            return None
        if piece.index is not None or not self.num_calls:
            raise EngineFailed("the upstream sent the arguments of no call")
        # Who does not number calls writes one after the other.
        return self.num_calls - 1

    def _begin(self, piece: WireCall) -> int:
        number = self.num_calls
        if number == _MOST_CALLS:
            raise EngineFailed("the upstream calls without end")
        if piece.index is not None:
            self._numbers[piece.index] = number
        started = CallStarted(self._sequence, number, piece.id or new_id("call_"), piece.function.name or "")
        self._calls.append(_Call(started))
        return number


def text_of(pieces: list[WireCall] | None) -> str:
    """All that the model wrote of these calls, to count it."""
    return "".join((piece.function.name or "") + (piece.function.arguments or "") for piece in pieces or ())


def _format(answer: Schema) -> dict[str, object]:
    label = answer.label
    if label is None:
        return {"type": "json_object"}
    declared: dict[str, object] = {"name": label.name, "schema": msgspec.json.decode(answer.text)}
    if label.description is not None:
        declared["description"] = label.description
    if label.is_strict is not None:
        declared["strict"] = label.is_strict
    return {"type": "json_schema", "json_schema": declared}


def _declared(function: Function) -> dict[str, object]:
    declared: dict[str, object] = {"name": function.name}
    if function.description is not None:
        declared["description"] = function.description
    if function.parameters is not None:
        declared["parameters"] = msgspec.json.decode(function.parameters.text)
    if function.is_strict:
        declared["strict"] = True
    return declared


def _choice(tools: Tools) -> object:
    if tools.only is not None:
        return {"type": "function", "function": {"name": tools.only}}
    return "required" if tools.choice is ToolChoice.REQUIRED else None


def _call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id or _made_id(call.name), "type": "function", "function": function}


def _made_id(name: str | None) -> str:
    """2023's calls have no ids; a call and its result have the function's name in common."""
    return f"call_{name or ''}"
