"""Models in memory, for operators: `POST /v1/models/{model}/load` and `/unload`, and `GET /v1/replicas`."""

from typing import Literal

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.opening import json_reply
from parley.api.openai.schemas.shared import ReplyStruct
from parley.core.errors import ModelLoadFailed, ModelUnavailable
from parley.core.residency import ReplicaStatus, Residency


class Replica(ReplyStruct, kw_only=True):
    """One set of weights that was asked for since the server started, and whether it is in memory.

    `memory_bytes` is an estimate, 0 for what is not in memory. `keep_alive_seconds` null: it stays until its room is
    needed. `idle_seconds` is null while requests run or wait.
    """

    object: Literal["replica"] = "replica"
    weights: str
    residency: Residency
    memory_bytes: int
    num_slots: int
    num_free_slots: int
    num_waiting: int
    idle_seconds: float | None
    keep_alive_seconds: float | None
    is_pinned: bool


class ListReplicasResponse(ReplyStruct, kw_only=True):
    """The reply of `GET /v1/replicas`."""

    object: Literal["list"] = "list"
    data: list[Replica]
    memory_budget_bytes: int


async def load_model(call: Call) -> ASGIApp:
    """Bring a model into memory; answers when it is there."""
    try:
        status = await call.services.serving.load(call.path_params["model"])
    except ModelLoadFailed as error:
        # The operator asks, who can mend it: here the reason itself is told.
        reason = " ".join(error.detail.split())
        raise ModelUnavailable(f"The model could not be loaded: {reason[:500]}", retry_after_seconds=1.0) from error
    return json_reply(to_wire(status))


async def unload_model(call: Call) -> ASGIApp:
    """Put a model that nobody uses out of memory; answers when it is gone."""
    return json_reply(to_wire(await call.services.serving.unload(call.path_params["model"])))


async def list_replicas(call: Call) -> ASGIApp:
    """Which models are in memory."""
    report = call.services.serving.report()
    return json_reply(
        ListReplicasResponse(
            data=[to_wire(status) for status in report.replicas], memory_budget_bytes=report.budget_bytes
        )
    )


def to_wire(status: ReplicaStatus) -> Replica:
    """A status as the API shows it."""
    return Replica(
        weights=status.weights,
        residency=status.residency,
        memory_bytes=status.memory_bytes,
        num_slots=status.num_slots,
        num_free_slots=status.num_free_slots,
        num_waiting=status.num_waiting,
        idle_seconds=None if status.idle_seconds is None else round(status.idle_seconds, 3),
        keep_alive_seconds=status.keep_alive_seconds,
        is_pinned=status.is_pinned,
    )
