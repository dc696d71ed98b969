"""Engines: models by their older name, and under paths that name one, for clients of before 2023."""

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain import wording
from parley.api.openai.models import visible_entries, visible_snapshot
from parley.api.openai.opening import json_reply
from parley.api.openai.schemas.models import Engine, ListEnginesResponse
from parley.core.errors import InvalidRequest, NotFound
from parley.core.snapshot import Snapshot


async def list_engines(call: Call) -> ASGIApp:
    """All names, aliases included."""
    return json_reply(ListEnginesResponse(data=[to_wire(name, snapshot) for name, snapshot in visible_entries(call)]))


async def retrieve_engine(call: Call) -> ASGIApp:
    """One name."""
    name = call.path_params["engine_id"]
    return json_reply(to_wire(name, visible_snapshot(call, name)))


async def refuse_chat(call: Call) -> ASGIApp:
    """There never was a chat under an engine's path; clients that say `engine=` where it says `model=` ask for one."""
    engine = wording.shown(call.path_params["engine_id"])
    raise NotFound(
        f"Invalid URL (POST /v1/engines/{engine}/chat/completions). Did you mean /v1/chat/completions? "
        "The model of a chat is named in the body, as 'model'."
    )


def engine_of_path(call: Call, model: str | None) -> str:
    """The engine that the path names. Raises InvalidRequest where the body's `model` is another."""
    engine = call.path_params["engine_id"]
    if model is not None and model != engine:
        raise InvalidRequest(
            f"Invalid 'model': the URL asks for the engine '{wording.shown(engine)}', "
            f"the body for the model '{wording.shown(model)}'. Name one of them only.",
            param="model",
            code="invalid_value",
        )
    return engine


def to_wire(name: str, snapshot: Snapshot) -> Engine:
    """A name as the API showed it then."""
    return Engine(id=name, created=snapshot.created, owner=snapshot.owned_by, ready=snapshot.weights is not None)
