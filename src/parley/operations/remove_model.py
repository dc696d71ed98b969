"""Remove a model: its names leave the catalog, then its file the disk; never one that a running server may have in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from parley.core.errors import ModelNotFound
from parley.core.snapshot import Weights
from parley.domain.catalog.model import CatalogError, hearing_rank
from parley.domain.catalog.service import Catalog
from parley.operations.model_changes import ShownModel, shown_model
from parley.operations.records import Records

# Whether an engine of this process has these weights, or is about to.
InUse = Callable[[Weights], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed, and what every stand-in name is answered by now."""

    weights: str
    default: str
    # As it was.
    shown: ShownModel


async def remove_model(records: Records, name: str, in_use: InUse) -> Removed:
    """Remove the weights behind `name` with every name pinned to them. Raises CatalogError; nothing was removed then."""
    async with records.catalog_turn:
        weights = _removable(records.catalog, name)
        if in_use(weights):
            raise CatalogError(
                f"{weights.name} is in the running server's memory; put it out with `parley models unload {name}`, then remove it"
            )
        shown = shown_model(records, name, weights)
        default = _next_default(records.catalog, weights)
        # What was edited in the file since comes into force with it. Kept first: behind the removal nothing may fail any more.
        await records.keep_prices(await asyncio.to_thread(records.catalog_files.read))
        contents = await asyncio.to_thread(records.catalog_files.remove, weights, default=default)
        records.catalog.replace(contents)
    now = contents.default_speech_weights if weights.is_speech else contents.default_weights
    return Removed(
        weights=weights.name, default=contents.default_weights.name if now is None else now.name, shown=shown
    )


def _removable(catalog: Catalog, name: str) -> Weights:
    weights = catalog.weights.get(name)
    if weights is None:
        try:
            snapshot = catalog.resolve(name)
        except ModelNotFound:
            raise CatalogError(f"there is no model called {name}; `parley models list` shows what there is") from None
        if snapshot.is_stand_in or snapshot.weights is None:
            raise CatalogError(f"{name} only stands in for OpenAI's and has no file of its own")
        weights = snapshot.weights
    if weights.upstream is None and (weights.path is None or weights.path.parent.name != "models"):
        raise CatalogError(f"{weights.name} comes with the package and cannot be removed")
    return weights


def _next_default(catalog: Catalog, gone: Weights) -> str:
    """What serves where the removed weights were the default: what was added last of the others, else what ships; the best that hears.

    Never an upstream, which only its operator's word makes the default.
    """
    default = catalog.default_speech_weights if gone.is_speech else catalog.default_weights
    if default is not None and default.name != gone.name:
        return default.name
    others = [
        each
        for each in catalog.weights.values()
        if each.name != gone.name and each.upstream is None and each.is_speech == gone.is_speech
    ]
    if gone.is_speech:
        return max(others, key=hearing_rank).name
    added = [weights for weights in others if weights.path is not None and weights.path.parent.name == "models"]
    shipped = [weights for weights in others if weights.path is not None]
    return (added or shipped or others)[-1].name
