"""`POST /v1/chat/completions`."""

from collections.abc import Sequence

from msgspec import UNSET
from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.choices import CallForm, Choice, call_form, finish_reason, gather, wire_usage
from parley.api.openai.frames import ChatFrames
from parley.api.openai.images import check_text_size
from parley.api.openai.logprobs import chat_logprobs
from parley.api.openai.messages import to_messages
from parley.api.openai.opening import Head, open_run
from parley.api.openai.parameters import check_stream_options, includes_usage, only_with, to_sampling
from parley.api.openai.replies import reply_of
from parley.api.openai.response_format import to_answer
from parley.api.openai.schemas.chat import (
    ChatCompletionChoice,
    ChatCompletionResponseMessage,
    CreateChatCompletionRequest,
    CreateChatCompletionResponse,
)
from parley.api.openai.schemas.tools import CalledFunctionReply, ChatCompletionMessageToolCallReply
from parley.api.openai.today import refuse_unsupported
from parley.api.openai.tools import to_tools
from parley.api.stream import EventStream, collect
from parley.core.errors import InvalidRequest
from parley.core.events import RunEvent
from parley.core.requests import ChatPrompt, GenerationRequest

ENDPOINT = "/v1/chat/completions"
BODY = JsonBody(CreateChatCompletionRequest)


def to_core(body: CreateChatCompletionRequest) -> GenerationRequest:
    """The engine-neutral request. Raises InvalidRequest for what no field says wrong by itself."""
    refuse_unsupported(body)
    check_stream_options(body)
    tools, answer = to_tools(body), to_answer(body.response_format)
    n = body.n or 1
    metadata = dict(body.metadata or {})
    if body.safety_identifier is not None:
        # The usage record keeps both names that a caller may give an end user.
        metadata["safety_identifier"] = body.safety_identifier
    return GenerationRequest(
        model=body.model,
        endpoint=ENDPOINT,
        prompts=(ChatPrompt(messages=to_messages(body.messages), tools=tools, answer=answer),),
        sampling=to_sampling(body, logprobs=_num_top(body)),
        max_tokens=_max_tokens(body),
        n=n,
        best_of=n,
        is_stream=bool(body.stream),
        user=body.user,
        metadata=metadata,
    )


async def create_chat_completion(call: Call) -> ASGIApp:
    """Answer a conversation."""
    body = await BODY.read(call.http)
    check_text_size(len(await call.http.body()), body.messages)
    request = to_core(body)
    opened = await open_run(call, request, id_prefix="chatcmpl-", service_tier=body.service_tier)
    if request.is_stream:
        frames = ChatFrames(
            opened.head,
            num_top=request.sampling.logprobs,
            include_usage=includes_usage(body),
            form=call_form(request),
        )
        return EventStream(opened.run, frames, opened.headers)
    events = await collect(opened.run, call.http, is_kept=opened.is_kept)
    return await reply_of(events, lambda: to_wire(opened.head, request, events), opened.headers)


def to_wire(head: Head, request: GenerationRequest, events: Sequence[RunEvent]) -> CreateChatCompletionResponse:
    """The reply that is not streamed."""
    gathered = gather(events, num_choices=request.n)
    num_top, form = request.sampling.logprobs, call_form(request)
    return CreateChatCompletionResponse(
        id=head.id,
        created=head.created,
        model=head.model,
        choices=[_choice(index, choice, num_top, form) for index, choice in enumerate(gathered.choices)],
        usage=wire_usage(gathered.usage),
        service_tier=UNSET if head.service_tier is None else head.service_tier,
        system_fingerprint=head.system_fingerprint,
    )


def _choice(index: int, choice: Choice, num_top: int | None, form: CallForm) -> ChatCompletionChoice:
    return ChatCompletionChoice(
        index=index,
        message=_message(choice, form),
        logprobs=None if num_top is None else chat_logprobs(choice.tokens, num_top),
        finish_reason=finish_reason(choice.finish_reason, form),
    )


def _message(choice: Choice, form: CallForm) -> ChatCompletionResponseMessage:
    refusal = choice.refusal
    if not choice.calls:
        # Only what calls or refuses has no content; an empty answer is one.
        content = None if refusal is not None and not choice.text else choice.text
        return ChatCompletionResponseMessage(content=content, refusal=refusal)
    calls = [CalledFunctionReply(name=call.name, arguments="".join(call.arguments)) for call in choice.calls]
    content = choice.text or None
    if form.is_2023:
        return ChatCompletionResponseMessage(content=content, refusal=refusal, function_call=calls[0])
    return ChatCompletionResponseMessage(
        content=content,
        refusal=refusal,
        tool_calls=[
            ChatCompletionMessageToolCallReply(id=call.id, function=function)
            for call, function in zip(choice.calls, calls, strict=True)
        ],
    )


def _num_top(body: CreateChatCompletionRequest) -> int | None:
    """How many candidates each token shall have; None where no log-probabilities were asked for."""
    if body.logprobs:
        return body.top_logprobs or 0
    if body.top_logprobs:
        raise only_with("top_logprobs", "logprobs")
    return None


def _max_tokens(body: CreateChatCompletionRequest) -> int | None:
    old, new = body.max_tokens, body.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported, unless they are equal.",
            param="max_tokens",
            code="invalid_value",
        )
    return old if new is None else new
