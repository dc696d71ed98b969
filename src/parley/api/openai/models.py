"""`GET /v1/models` and `GET /v1/models/{model}`: the names that can be asked for, and what stands behind each."""

import hashlib

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.opening import json_reply
from parley.api.openai.schemas.models import ListModelsResponse, Model, ModelPermission
from parley.core.errors import ModelNotFound
from parley.core.principal import Principal
from parley.core.snapshot import Snapshot


def visible_entries(call: Call) -> list[tuple[str, Snapshot]]:
    """The catalog's names, aliases included, that the caller may use."""
    principal = call.require_principal()
    return [
        (name, snapshot) for name, snapshot, _ in call.services.catalog.entries() if _may_use(principal, name, snapshot)
    ]


def visible_snapshot(call: Call, name: str) -> Snapshot:
    """What `name` stands for. Raises ModelNotFound, also where the caller may not use it: the sentence says either."""
    snapshot = call.services.catalog.resolve(name)
    if not _may_use(call.require_principal(), name, snapshot):
        raise ModelNotFound(name)
    return snapshot


async def list_models(call: Call) -> ASGIApp:
    """All names, aliases included."""
    return json_reply(ListModelsResponse(data=[to_wire(name, snapshot) for name, snapshot in visible_entries(call)]))


async def retrieve_model(call: Call) -> ASGIApp:
    """One name."""
    name = call.path_params["model"]
    return json_reply(to_wire(name, visible_snapshot(call, name)))


def to_wire(name: str, snapshot: Snapshot) -> Model:
    """A name as the API shows it. None of these models is made from another, so that each is its own root."""
    weights = snapshot.weights
    return Model(
        id=name,
        created=snapshot.created,
        owned_by=snapshot.owned_by,
        permission=[ModelPermission(id=_permission_id(name), created=snapshot.created)],
        root=name,
        parent=None,
        snapshot=snapshot.name,
        shutdown_date=None if snapshot.shutdown_date is None else snapshot.shutdown_date.isoformat(),
        context_length=snapshot.context_length,
        promised_context_length=snapshot.promised_context_length,
        capabilities=sorted(snapshot.capabilities),
        weights=None if weights is None else weights.name,
        description=None if weights is None else weights.description,
    )


def _permission_id(name: str) -> str:
    """An id that stays the same from call to call, as OpenAI's did."""
    return f"modelperm-{hashlib.sha256(name.encode()).hexdigest()[:24]}"


def _may_use(principal: Principal, name: str, snapshot: Snapshot) -> bool:
    allowed = principal.allowed_models
    return allowed is None or name in allowed or snapshot.name in allowed
