"""`POST /v1/completions`, and the same under its older path `/v1/engines/{engine_id}/completions`."""

from collections.abc import Sequence

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain import wording
from parley.api.explain.decode import JsonBody
from parley.api.openai.choices import gather, wire_usage
from parley.api.openai.engines import engine_of_path
from parley.api.openai.frames import CompletionFrames
from parley.api.openai.logprobs import CompletionScores
from parley.api.openai.opening import Head, open_run
from parley.api.openai.parameters import check_stream_options, includes_usage, to_sampling
from parley.api.openai.prompts import to_prompts
from parley.api.openai.replies import reply_of
from parley.api.openai.schemas.completions import (
    CompletionChoice,
    CompletionParameters,
    CreateCompletionRequest,
    CreateCompletionResponse,
    CreateEngineCompletionRequest,
)
from parley.api.stream import EventStream, collect
from parley.core.errors import InvalidRequest
from parley.core.events import RunEvent
from parley.core.requests import GenerationRequest, TextPrompt

ENDPOINT = "/v1/completions"
BODY = JsonBody(CreateCompletionRequest)
ENGINE_BODY = JsonBody(CreateEngineCompletionRequest)
DEFAULT_MAX_TOKENS = 16
# As many as one request may have prompts: each sequence costs memory and a turn in the queue, however short it is.
MAX_SEQUENCES = 2048


def to_core(body: CompletionParameters, model: str) -> GenerationRequest:
    """The engine-neutral request. Raises InvalidRequest for what no field says wrong by itself."""
    check_stream_options(body)
    n = body.n or 1
    best_of = _best_of(body, n)
    prompts = to_prompts(body)
    _check_num_sequences(len(prompts), best_of, param="n" if best_of == n else "best_of")
    return GenerationRequest(
        model=model,
        endpoint=ENDPOINT,
        prompts=prompts,
        sampling=to_sampling(body, logprobs=body.logprobs),
        max_tokens=_max_tokens(body),
        n=n,
        best_of=best_of,
        echo=bool(body.echo),
        is_stream=bool(body.stream),
        user=body.user,
    )


async def create_completion(call: Call) -> ASGIApp:
    """Continue a text."""
    body = await BODY.read(call.http)
    return await _complete(call, body, body.model)


async def create_engine_completion(call: Call) -> ASGIApp:
    """Continue a text with the model that the path names; a model in the body must be the same."""
    body = await ENGINE_BODY.read(call.http)
    return await _complete(call, body, engine_of_path(call, body.model))


async def _complete(call: Call, body: CompletionParameters, model: str) -> ASGIApp:
    request = to_core(body, model)
    opened = await open_run(call, request, id_prefix="cmpl-")
    if request.is_stream:
        frames = CompletionFrames(opened.head, scores=_scores(request), include_usage=includes_usage(body))
        return EventStream(opened.run, frames, opened.headers)
    events = await collect(opened.run, call.http, is_kept=opened.is_kept)
    return await reply_of(events, lambda: to_wire(opened.head, request, events), opened.headers)


def to_wire(head: Head, request: GenerationRequest, events: Sequence[RunEvent]) -> CreateCompletionResponse:
    """The reply that is not streamed: `n` choices for each prompt, prompt by prompt."""
    gathered = gather(events, num_choices=len(request.prompts) * request.n)
    scores = _scores(request)
    return CreateCompletionResponse(
        id=head.id,
        created=head.created,
        model=head.model,
        choices=[
            CompletionChoice(
                text=choice.text,
                index=index,
                logprobs=None if scores is None else scores[index].of(choice.tokens),
                finish_reason=choice.finish_reason,
            )
            for index, choice in enumerate(gathered.choices)
        ],
        usage=wire_usage(gathered.usage),
        system_fingerprint=head.system_fingerprint,
    )


def _scores(request: GenerationRequest) -> list[CompletionScores] | None:
    """The renderer of each choice's log-probabilities; None where none were asked for."""
    num_top = request.sampling.logprobs
    if num_top is None:
        return None
    starts = [
        _first_offset(prompt, has_echo=request.echo) for prompt in request.prompts if isinstance(prompt, TextPrompt)
    ]
    return [CompletionScores(num_top, start=start) for start in starts for _ in range(request.n)]


def _first_offset(prompt: TextPrompt, *, has_echo: bool) -> int:
    """Offsets count from the prompt's start, echoed or not. A prompt of token ids has no text unless it is echoed."""
    return 0 if has_echo or prompt.text is None else len(prompt.text)


def _check_num_sequences(num_prompts: int, best_of: int, *, param: str) -> None:
    if num_prompts * best_of > MAX_SEQUENCES:
        raise InvalidRequest(
            f"Invalid '{param}': {num_prompts} prompts with {best_of} choices each are more than the {MAX_SEQUENCES} "
            "choices that one request may ask for.",
            param=param,
            code="invalid_value",
        )


def _max_tokens(body: CompletionParameters) -> int:
    if body.max_tokens is None:
        return DEFAULT_MAX_TOKENS
    if body.max_tokens == 0 and not body.echo:
        # Nothing generated and nothing echoed would be no answer.
        raise wording.number_bound("max_tokens", kind="integer", is_above=False, bound=1, value=0)
    return body.max_tokens


def _best_of(body: CompletionParameters, n: int) -> int:
    best_of = n if body.best_of is None else body.best_of
    if best_of < n:
        raise InvalidRequest(
            "You requested that the server return more choices than it will generate (HINT: you must set 'n' "
            f"(currently {n}) to be at most 'best_of' (currently {best_of}), or omit either parameter if you don't "
            "specifically want to use them.)",
            param="best_of",
            code="invalid_value",
        )
    if best_of > n and body.stream:
        raise InvalidRequest(
            f"Invalid 'best_of': results cannot be streamed when 'best_of' (currently {best_of}) is greater than 'n' "
            f"(currently {n}).",
            param="best_of",
            code="invalid_value",
        )
    return best_of
