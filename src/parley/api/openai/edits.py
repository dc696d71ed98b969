"""`POST /v1/edits`, and its older path `/v1/engines/{engine_id}/edits`: an instruction and a text, answered with the changed text."""

from collections.abc import Sequence

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.choices import gather
from parley.api.openai.engines import engine_of_path
from parley.api.openai.opening import Head, open_run
from parley.api.openai.replies import reply_of
from parley.api.openai.schemas.edits import (
    CreateEditRequest,
    CreateEditResponse,
    CreateEngineEditRequest,
    EditChoice,
    EditParameters,
)
from parley.api.openai.schemas.shared import CompletionUsage
from parley.api.stream import collect
from parley.core.events import RunEvent
from parley.core.requests import ChatMessage, ChatPrompt, GenerationRequest, Sampling
from parley.core.template import Role

ENDPOINT = "/v1/edits"
BODY = JsonBody(CreateEditRequest)
ENGINE_BODY = JsonBody(CreateEngineEditRequest)
# The endpoint's own models were made for this; a chat model is told, the bundled one in the words of its training.
_TASK = "Apply the instruction to the text; answer with the edited text alone."


def to_core(body: EditParameters, model: str) -> GenerationRequest:
    """The engine-neutral request: a conversation in which the user asks for the edit."""
    n = body.n or 1
    asked = f"Instruction: {body.instruction}\nText: {body.input or ''}"
    messages = (ChatMessage(role=Role.SYSTEM, content=_TASK), ChatMessage(role=Role.USER, content=asked))
    return GenerationRequest(
        model=model,
        endpoint=ENDPOINT,
        prompts=(ChatPrompt(messages=messages),),
        sampling=Sampling(
            temperature=1.0 if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
        ),
        max_tokens=None,
        n=n,
        best_of=n,
    )


async def create_edit(call: Call) -> ASGIApp:
    """Change a text as an instruction says."""
    body = await BODY.read(call.http)
    return await _edit(call, to_core(body, body.model))


async def create_engine_edit(call: Call) -> ASGIApp:
    """Change a text with the model that the path names; a model in the body must be the same."""
    body = await ENGINE_BODY.read(call.http)
    return await _edit(call, to_core(body, engine_of_path(call, body.model)))


async def _edit(call: Call, request: GenerationRequest) -> ASGIApp:
    opened = await open_run(call, request, id_prefix="edit-")
    events = await collect(opened.run, call.http, is_kept=opened.is_kept)
    return await reply_of(events, lambda: to_wire(opened.head, request, events), opened.headers)


def to_wire(head: Head, request: GenerationRequest, events: Sequence[RunEvent]) -> CreateEditResponse:
    """The reply, in the shape of 2023."""
    gathered = gather(events, num_choices=request.n)
    usage = gathered.usage
    return CreateEditResponse(
        created=head.created,
        choices=[
            # 2023's reply has no place of its own for a refusal.
            EditChoice(text=choice.text or choice.refusal or "", index=index, finish_reason=choice.finish_reason)
            for index, choice in enumerate(gathered.choices)
        ],
        usage=CompletionUsage(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
        ),
    )
