"""Opens a text request's Run for a handler, with what stands at the head of every reply to it."""

import hashlib
from datetime import UTC, datetime, time
from email.utils import format_datetime

import msgspec
from msgspec import Struct
from starlette.responses import Response

from parley.api.call import Call
from parley.api.reception import reception_of
from parley.api.stream import OpenRun
from parley.core.errors import ParleyError
from parley.core.events import SequenceEvent
from parley.core.grant import Grant
from parley.core.ids import new_id
from parley.core.requests import GenerationRequest
from parley.core.snapshot import EngineKind, Snapshot, Weights


class Head(Struct, frozen=True, kw_only=True):
    """What every reply, and every chunk of a stream, says of itself."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    # Only where the client named one.
    service_tier: str | None = None


class Opened(Struct, frozen=True, kw_only=True):
    """A Run that the caller must hand on or close, the head of its reply, the reply's headers, and whether it is kept for a
    client that comes back for it."""

    run: OpenRun[SequenceEvent]
    head: Head
    headers: dict[str, str]
    is_kept: bool


async def open_run(
    call: Call, request: GenerationRequest, *, id_prefix: str, service_tier: str | None = None
) -> Opened:
    """Open a Run of `request`, or raise its refusal. Nothing is awaited between the opening and the return."""
    try:
        run = await call.services.serving.open(
            call.current_principal(),
            request,
            request_id=call.request_id,
            received_at=call.received_at,
            claim=call.claim,
        )
    except ParleyError as refusal:
        tell_refusal(call, request.model, refusal)
        raise
    grant = run.grant
    # On every reply from here on, also one that fails.
    reception_of(call.http.scope).levels = grant.levels
    head = Head(
        id=new_id(id_prefix),
        created=int(call.services.clock.now()),
        model=grant.snapshot.name,
        system_fingerprint=fingerprint(grant.weights, call.services.llama_identity),
        # "auto" means whatever there is, and there is one tier.
        service_tier=None if service_tier is None else "default",
    )
    # A reply with the candidates of each token may be larger than what is kept, and would be made for nobody.
    is_kept = call.claim is not None and request.sampling.logprobs is None
    return Opened(run=run, head=head, headers=reply_headers(grant), is_kept=is_kept)


def tell_refusal(call: Call, model: str, refusal: ParleyError) -> None:
    """No Run was opened: the headers of the refusal say how the limits stand."""
    levels = refusal.levels or call.services.levels_of(call.require_principal(), model)
    reception_of(call.http.scope).levels = levels


# Of replies that show what is shown once: nothing on the way may keep it.
SHOWN_ONCE = {"cache-control": "no-store"}


def json_reply(body: msgspec.Struct, headers: dict[str, str] | None = None) -> Response:
    """A 200 reply with a JSON body."""
    return Response(msgspec.json.encode(body), media_type="application/json", headers=headers)


def reply_headers(grant: Grant) -> dict[str, str]:
    """Which weights really answered, and when the model that was asked for goes away."""
    return {"x-parley-model": grant.weights.name, **_shutdown_headers(grant.snapshot)}


def fingerprint(weights: Weights, llama_identity: str) -> str:
    """Changes when what computes the answer changes: with the same seed and fingerprint comes the same output."""
    identity = "\n".join([weights.name, weights.sha256 or "", weights.engine, weights.template])
    if weights.engine is EngineKind.LLAMA:
        identity += f"\n{llama_identity}"
    if weights.projector_sha256 is not None:
        identity += f"\n{weights.projector_sha256}"
    if weights.upstream is not None:
        identity += f"\n{weights.upstream.model}"
    return f"fp_{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def _shutdown_headers(snapshot: Snapshot) -> dict[str, str]:
    """`Deprecation` as RFC 9745 has it, `Sunset` as RFC 8594; the date is the same, since only the end is announced."""
    if snapshot.shutdown_date is None:
        return {}
    end = datetime.combine(snapshot.shutdown_date, time(), UTC)
    return {"deprecation": f"@{int(end.timestamp())}", "sunset": format_datetime(end, usegmt=True)}
