"""From a Run's events to the choices of a reply: texts, tokens and finish reasons, joined by choice."""

from collections.abc import Iterable
from typing import assert_never

from msgspec import Struct, field

from parley.api.openai.schemas.shared import CompletionTokensDetails, CompletionUsage, PromptTokensDetails
from parley.core.events import (
    CallDelta,
    CallStarted,
    Delta,
    Finished,
    FinishReason,
    RefusalDelta,
    RunEvent,
    ScoredToken,
    SequenceFinished,
)
from parley.core.requests import ChatPrompt, GenerationRequest
from parley.core.usage import Usage


class Call(Struct):
    """One call of a choice; `arguments` are its pieces."""

    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


class Choice(Struct):
    """One choice of a reply that is not streamed."""

    parts: list[str] = field(default_factory=list)
    refusal_parts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    tokens: list[ScoredToken] = field(default_factory=list)
    finish_reason: FinishReason = FinishReason.STOP

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def refusal(self) -> str | None:
        return "".join(self.refusal_parts) or None


class Gathered(Struct, frozen=True, kw_only=True):
    """All that a finished Run said; `choices` are in order of their index."""

    choices: tuple[Choice, ...]
    usage: Usage


def gather(events: Iterable[RunEvent], *, num_choices: int) -> Gathered:
    """Join the events of a Run that came to its end."""
    choices = tuple(Choice() for _ in range(num_choices))
    usage = Usage()
    for event in events:
        if isinstance(event, Finished):
            usage = event.usage
            continue
        choice = choices[event.sequence]
        if isinstance(event, Delta):
            choice.parts.append(event.text)
            choice.tokens.extend(event.tokens)
        elif isinstance(event, SequenceFinished):
            choice.finish_reason = event.finish_reason
        elif isinstance(event, CallDelta):
            choice.calls[event.call].arguments.append(event.arguments)
        elif isinstance(event, CallStarted):
            choice.calls.append(Call(event.call_id, event.name))
        elif isinstance(event, RefusalDelta):
            choice.refusal_parts.append(event.text)
        else:
            assert_never(event)
    return Gathered(choices=choices, usage=usage)


class CallForm(Struct, frozen=True, kw_only=True):
    """How calls are told: in 2023's form or today's; and whether the client had named the function."""

    is_2023: bool = False
    is_named: bool = False


def call_form(request: GenerationRequest) -> CallForm:
    """The form in which this chat asked for its calls."""
    prompt = request.prompts[0]
    tools = prompt.tools if isinstance(prompt, ChatPrompt) else None
    return CallForm() if tools is None else CallForm(is_2023=tools.is_2023, is_named=tools.only is not None)


def finish_reason(reason: FinishReason, form: CallForm) -> str:
    """The reason on the wire. 2023's functions have their own word for a call.

    A call of the one function that was named ends with `stop`, as OpenAI's API says it: calling was no decision of the
    model's. Where only some call was required, it is `tool_calls`.
    """
    if reason is not FinishReason.TOOL_CALLS:
        return reason.value
    if form.is_named:
        return FinishReason.STOP.value
    return "function_call" if form.is_2023 else reason.value


def wire_usage(usage: Usage) -> CompletionUsage:
    """Usage as chat and completions say it today; 2023's clients read the first three."""
    return CompletionUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
        completion_tokens_details=CompletionTokensDetails(),
    )
