"""`GET /v1/engines` and `GET /v1/engines/{engine_id}`: models by their older name, for clients of before 2023."""

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.models import visible_entries, visible_snapshot
from parley.api.openai.opening import json_reply
from parley.api.openai.schemas.models import Engine, ListEnginesResponse
from parley.core.snapshot import Snapshot


async def list_engines(call: Call) -> ASGIApp:
    """All names, aliases included."""
    return json_reply(ListEnginesResponse(data=[to_wire(name, snapshot) for name, snapshot in visible_entries(call)]))


async def retrieve_engine(call: Call) -> ASGIApp:
    """One name."""
    name = call.path_params["engine_id"]
    return json_reply(to_wire(name, visible_snapshot(call, name)))


def to_wire(name: str, snapshot: Snapshot) -> Engine:
    """A name as the API showed it then."""
    return Engine(id=name, created=snapshot.created, owner=snapshot.owned_by, ready=snapshot.weights is not None)
