"""How an answer is read: what in its text is a call, and whether what was to be JSON is JSON."""

import json
from collections.abc import Iterator

from parley.core.errors import EngineFailed
from parley.core.events import CallDelta, CallStarted, Delta, FinishReason, ScoredToken, SequenceEvent, SequenceFinished
from parley.core.ids import new_id
from parley.core.requests import ChatPrompt, GenerationRequest, Tools
from parley.core.template import ChatTemplate
from parley.serving.prompting.call_parts import Arguments, Name, Words
from parley.serving.prompting.calls import CallParser
from parley.serving.prompting.grammar import called_functions


def readers_of(request: GenerationRequest, template: ChatTemplate) -> list["Reader"]:
    """A reader of each choice of a request that declares tools or asks for JSON; none for any other."""
    (prompt, *others) = request.prompts
    if others or not isinstance(prompt, ChatPrompt) or (prompt.tools is None and prompt.answer is None):
        return []
    # With stop texts an answer may end anywhere.
    is_json = prompt.answer is not None and not request.sampling.stop
    return [Reader(choice, _parser(prompt.tools, template), is_json=is_json) for choice in range(request.n)]


def _parser(tools: Tools | None, template: ChatTemplate) -> CallParser | None:
    form = template.tools
    if tools is None or form is None:
        return None
    most_calls = 1 if form.is_single or not tools.is_parallel else None
    return CallParser(form, called_functions(tools), thought=template.thought, most_calls=most_calls)


class Reader:
    """Reads the events of one sequence."""

    def __init__(self, sequence: int, parser: CallParser | None, *, is_json: bool) -> None:
        self._sequence = sequence
        self._parser = parser
        self._written: list[str] | None = [] if is_json else None
        # What JSON can begin with; a call may stand in its place.
        self._starts = '{["-0123456789tfn' + ("" if parser is None else parser.first_characters)
        self._num_calls = 0
        # The arguments of the last call, piece by piece.
        self._arguments: list[str] = []
        # Scores of tokens whose text is not decided yet; those of a call are not shown, as OpenAI does not.
        self._tokens: list[ScoredToken] = []

    def push(self, event: Delta | CallStarted | CallDelta | SequenceFinished) -> Iterator[SequenceEvent]:
        """What the event tells. Raises EngineFailed for an answer that had to be JSON, came to its end, and is not."""
        if isinstance(event, CallStarted | CallDelta):
            # Read already, where the answer was made.
            yield event
            return
        if isinstance(event, Delta):
            if self._written is not None and event.text:
                self._check_start(event.text)
                self._written.append(event.text)
            if self._parser is None:
                yield event
                return
            self._tokens += event.tokens
            yield from self._events(self._parser.push(event.text))
            return
        if self._parser is not None:
            yield from self._events(self._parser.end())
        yield self._finished(event)

    def _finished(self, event: SequenceFinished) -> SequenceFinished:
        if event.finish_reason is not FinishReason.STOP:
            return event
        if self._num_calls:
            # A stop text may end an answer in the middle of a call, which nobody should make then.
            return SequenceFinished(self._sequence, FinishReason.TOOL_CALLS) if _is_json(self._arguments) else event
        if self._written is not None and not _is_json(self._written):
            raise EngineFailed("the engine left the grammar that it was given")
        return event

    def _check_start(self, text: str) -> None:
        """An engine that gave up its grammar shows it at once, and must not go on as if nothing was."""
        if not self._num_calls and not self._written and text[0] not in self._starts:
            raise EngineFailed("the engine left the grammar that it was given")

    def _events(self, parts: list[Words | Name | Arguments]) -> Iterator[SequenceEvent]:
        for part in parts:
            match part:
                case Words():
                    tokens, self._tokens = tuple(self._tokens), []
                    yield Delta(self._sequence, part.text, 0, tokens)
                case Name():
                    self._tokens = []
                    yield CallStarted(self._sequence, self._num_calls, new_id("call_"), part.name)
                    self._num_calls += 1
                    self._arguments = []
                case Arguments():
                    self._tokens = []
                    self._arguments.append(part.text)
                    yield CallDelta(self._sequence, self._num_calls - 1, part.text)


def _is_json(pieces: list[str]) -> bool:
    try:
        json.loads("".join(pieces))
    except (ValueError, RecursionError):
        return False
    return True
