"""Calls on handlers without a server: a request in bytes, a Serving that plays prepared events, the reply as it went out."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request
from starlette.types import ASGIApp, Message

from parley.api.call import Call, Handler, Platform, Services
from parley.api.openai.opening import Head
from parley.api.reception import Reception
from parley.core.claim import Claim
from parley.core.clock import FakeClock
from parley.core.errors import ModelNotFound, ParleyError
from parley.core.events import Alternative, Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.grant import GenerationGrant, PreparedPrompt
from parley.core.hold import Hold
from parley.core.price import FREE
from parley.core.principal import Principal, Scope
from parley.core.requests import GenerationRequest
from parley.core.snapshot import Capability, EngineKind, Snapshot, Weights
from parley.core.usage import Outcome, Usage
from parley.domain.catalog.service import Catalog
from parley.serving.serve import Serving

HEAD = Head(id="chatcmpl-1", created=1_677_628_800, model="gpt-3.5-turbo-0301", system_fingerprint="fp_0123456789")
REQUEST_ID = "req_0000000000000000000001"
WEIGHTS = Weights(
    name="small",
    engine=EngineKind.ECHO,
    path=None,
    sha256=None,
    context_length=4_097,
    template="chatml",
    description="Tiny.",
)
USAGE = Usage(input_tokens=9, cached_tokens=4, output_tokens=3)


def make_snapshot(name: str = "gpt-3.5-turbo-0301", **changes: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "name": name,
        "family": "gpt-3.5-turbo",
        "weights": WEIGHTS,
        "promised_context_length": 4_096,
        "capabilities": frozenset({Capability.CHAT, Capability.COMPLETE}),
        "price": FREE,
        "created": 1_677_628_800,
    }
    return Snapshot(**(fields | changes))


def make_principal(*, allowed_models: frozenset[str] | None = None) -> Principal:
    return Principal(
        organization_id="org_a",
        project_id="proj_a",
        key_id="key_a",
        scopes=frozenset({Scope.ALL}),
        allowed_models=allowed_models,
    )


def scored(piece: bytes | str, logprob: float | None = -0.5, *top: tuple[bytes | str, float]) -> ScoredToken:
    """A token with its alternatives, most probable first."""
    alternatives = tuple(Alternative(index, _bytes(text), chance) for index, (text, chance) in enumerate(top))
    return ScoredToken(7, _bytes(piece), logprob, alternatives)


def said(*texts: str, sequence: int = 0) -> list[Event]:
    """A sequence that says `texts`, a token each, and stops."""
    deltas: list[Event] = [Delta(sequence, text, 1) for text in texts]
    return [*deltas, SequenceFinished(sequence, FinishReason.STOP)]


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


class FakeRun:
    """A Run that plays its events and remembers whether it was closed."""

    def __init__(self, grant: GenerationGrant, events: Iterable[Event]) -> None:
        self.grant = grant
        self.is_closed = False
        self._events = iter([*events, Finished(USAGE)])

    def __aiter__(self) -> "FakeRun":
        return self

    async def __anext__(self) -> Event:
        await asyncio.sleep(0)
        try:
            return next(self._events)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self, outcome: Outcome | None = None) -> None:
        self.is_closed = True


class FakeServing:
    """Opens a FakeRun for every request, or refuses it; keeps what it was asked."""

    def __init__(
        self, events: Sequence[Event] = (), *, refusal: ParleyError | None = None, snapshot: Snapshot | None = None
    ) -> None:
        self._events = events
        self._refusal = refusal
        self._snapshot = snapshot or make_snapshot()
        self.requests: list[GenerationRequest] = []
        self.runs: list[FakeRun] = []

    async def open(
        self,
        principal: Principal,
        request: GenerationRequest,
        *,
        request_id: str,
        received_at: float,
        claim: Claim | None = None,
    ) -> FakeRun:
        self.requests.append(request)
        if self._refusal is not None:
            raise self._refusal
        grant = GenerationGrant(
            request_id=request_id,
            principal=principal,
            request=request,
            snapshot=self._snapshot,
            weights=WEIGHTS,
            prompts=(PreparedPrompt(token_ids=(1,)),),
            max_tokens=(16,),
            received_at=received_at,
            hold=Hold(
                request_id=request_id,
                principal=principal,
                price=FREE,
                amount_nano=0,
                opened_at=0.0,
                num_output_tokens=16,
            ),
        )
        self.runs.append(FakeRun(grant, self._events))
        return self.runs[-1]


class FakeCatalog:
    """Names by hand."""

    def __init__(self, entries: Sequence[tuple[str, Snapshot, bool]]) -> None:
        self._entries = list(entries)

    def entries(self) -> list[tuple[str, Snapshot, bool]]:
        return self._entries

    def resolve(self, name: str) -> Snapshot:
        for known, snapshot, _ in self._entries:
            if known == name:
                return snapshot
        raise ModelNotFound(name)


@dataclass
class Reply:
    """A reply as it went out."""

    status: int
    headers: dict[str, str]
    parts: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(kw_only=True)
class Asked:
    """What is asked of a handler."""

    body: object = None
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    path: str = "/v1/chat/completions"
    path_params: dict[str, str] = field(default_factory=dict)
    principal: Principal = field(default_factory=make_principal)


async def call_handler(
    handler: Handler, asked: Asked, *, serving: FakeServing | None = None, catalog: FakeCatalog | None = None
) -> Reply:
    """Run the handler and send its reply. Raises what the handler raises."""
    body = asked.raw if asked.raw is not None else json.dumps(asked.body).encode()
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": asked.path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in asked.headers.items()],
        "state": {"reception": Reception(request_id=REQUEST_ID, received_at=0.0)},
    }
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        # The client stays.
        return await asyncio.get_running_loop().create_future()

    call = Call(
        http=Request(scope, receive),
        services=Services(
            serving=cast("Serving", serving or FakeServing()),
            catalog=cast("Catalog", catalog or FakeCatalog([])),
            clock=FakeClock(),
            platform=cast("Platform", None),
        ),
        request_id=REQUEST_ID,
        received_at=0.0,
        principal=asked.principal,
        path_params=asked.path_params,
    )
    return await _send(await handler(call), scope, receive)


async def _send(response: ASGIApp, scope: dict[str, Any], receive: Any) -> Reply:
    reply = Reply(0, {})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            reply.parts.append(message.get("body", b""))

    await response(scope, receive, send)
    return reply


def chunks(body: bytes) -> list[Any]:
    """The JSON of each event of a stream; the last is the string "[DONE]"."""
    texts = [frame.removeprefix("data: ") for frame in body.decode().split("\n\n") if frame]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]
