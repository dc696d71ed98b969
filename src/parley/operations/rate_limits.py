"""The limits of a project, model by model: what counts, and what its admins set below the organization's tier."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from parley.core.actor import Actor
from parley.core.errors import ModelNotFound, NotFound
from parley.core.limits import Levels, Limits
from parley.core.principal import Principal
from parley.core.snapshot import Snapshot
from parley.infra.db import Connection, Transaction
from parley.operations.authority import live_project_of, note, project_of
from parley.operations.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What counts for a project on one snapshot: the tighter of the tier's and its own."""

    model: str
    limits: Limits


async def list_limits(records: Records, actor: Actor, project_id: str) -> list[ModelLimits]:
    """The limits of a project on every snapshot, by name. Raises NotFound."""

    def look(connection: Connection) -> str:
        return project_of(records, connection, actor, project_id).id

    found = await records.database.read(look)
    return [_effective(records, actor, found, snapshot) for snapshot in _snapshots(records)]


async def change_limits(
    records: Records, actor: Actor, project_id: str, model: str, wanted: Mapping[str, int | None]
) -> ModelLimits:
    """Set what `wanted` names of a project's own limits on a snapshot; None takes one away. They count from now on.

    Raises NotFound.
    """
    snapshot = next((each for each in _snapshots(records) if each.name == model), None)

    def work(transaction: Transaction) -> str:
        project = live_project_of(records, transaction.connection, actor, project_id)
        if snapshot is None:
            raise NotFound("No such rate limit.")
        before = records.rates.of_project(project.id, snapshot.name)
        after = replace(before, **wanted)
        records.rates.change_project(transaction, project.id, snapshot.name, after)
        note(
            records,
            transaction,
            actor,
            "rate_limit.updated",
            before=_seen(project.id, model, before),
            after=_seen(project.id, model, after),
        )
        return project.id

    found = await records.database.transaction(work)
    if snapshot is None:
        raise NotFound("No such rate limit.")
    return _effective(records, actor, found, snapshot)


def _effective(records: Records, actor: Actor, project_id: str, snapshot: Snapshot) -> ModelLimits:
    own = records.rates.of_project(project_id, snapshot.name)
    if actor.principal.is_metered:
        own = own.within(records.rates.of_organization(actor.organization_id, snapshot.family))
    return ModelLimits(model=snapshot.name, limits=own)


def _snapshots(records: Records) -> list[Snapshot]:
    """Every snapshot once, by name."""
    by_name = {snapshot.name: snapshot for _, snapshot, _ in records.catalog.entries()}
    return [by_name[name] for name in sorted(by_name)]


def _seen(project_id: str, model: str, limits: Limits) -> dict[str, object]:
    return {"id": f"rl-{model}", "project_id": project_id, "model": model, **limits.stated()}


def levels_of(records: Records, principal: Principal, model: str | None) -> Levels:
    """How the limits stand that a request of this caller would meet: for a model by any of its names, or in general."""
    named, family = "", ""
    if model is not None:
        with contextlib.suppress(ModelNotFound):
            snapshot = records.catalog.resolve(model)
            named, family = snapshot.name, snapshot.family
    return records.rates.standing(principal, model=named, family=family)
