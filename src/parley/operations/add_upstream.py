"""Add an upstream: a model that somebody's OpenAI-compatible server has, into the catalog under a name of its own."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from parley.core.errors import ModelNotFound
from parley.core.snapshot import Capability, EngineKind, Snapshot
from parley.core.upstream import UpstreamKind
from parley.domain.catalog.editing import Addition
from parley.domain.catalog.entries import SnapshotEntry, UpstreamEntry, WeightsEntry
from parley.domain.catalog.model import CatalogError, Contents, is_valid_name
from parley.domain.catalog.upstreams import read_upstream
from parley.operations.records import Records

# Most of today's hosted APIs have chats alone.
_CHAT_ALONE = (Capability.CHAT, Capability.EDIT)
_ALL = (Capability.CHAT, Capability.COMPLETE, Capability.EDIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUpstream:
    """What to add. `vocabulary_sha256` is of a GGUF file in the data folder, which `template` is needed with."""

    name: str
    upstream: UpstreamEntry
    context_length: int
    is_default: bool = False
    vocabulary_sha256: str | None = None
    template: str | None = None


def check_upstream(name: str, upstream: UpstreamEntry) -> None:
    """Raise CatalogError for what the catalog would refuse, before anything is copied."""
    if not is_valid_name(name) or len(name) > 100:
        raise CatalogError(f"a model cannot be called {name!r}; choose letters, digits and _ . : - with --name")
    read_upstream(upstream, name)


async def add_upstream(records: Records, addition: AddUpstream) -> Snapshot:
    """Let the catalog have it, pinned to its name. Raises CatalogError. The server is not asked: it may not run yet.

    Unlike weights of our own it becomes the default only when that is asked for: no prompt leaves this machine because
    of a name that only stands in for OpenAI's.
    """
    check_upstream(addition.name, addition.upstream)
    async with records.catalog_turn:
        name, contents = await asyncio.to_thread(_add, records, addition)
        await records.put_in_force(contents)
    return records.catalog.resolve(name)


def _add(records: Records, addition: AddUpstream) -> tuple[str, Contents]:
    _refuse_taken_name(records, addition.name)
    today = datetime.fromtimestamp(records.clock.now(), UTC).date()
    sha256 = addition.vocabulary_sha256
    weights = WeightsEntry(
        name=f"{addition.name}-upstream",
        engine=EngineKind.UPSTREAM,
        file=None if sha256 is None else f"models/{sha256}.gguf",
        sha256=sha256,
        context=addition.context_length,
        template=addition.template,
        upstream=addition.upstream,
    )
    snapshot = SnapshotEntry(
        name=f"{addition.name}-{today.isoformat()}",
        family=addition.name,
        weights=weights.name,
        context=addition.context_length,
        capabilities=list(_CHAT_ALONE if addition.upstream.kind is UpstreamKind.OPENAI else _ALL),
        price="free",
        created=today,
    )
    whole = Addition(weights=weights, snapshot=snapshot, alias=addition.name, is_default=addition.is_default)
    return snapshot.name, records.catalog_files.add(whole)


def _refuse_taken_name(records: Records, name: str) -> None:
    try:
        records.catalog.resolve(name)
    except ModelNotFound:
        return
    raise CatalogError(f"a model cannot be called {name}: that name is taken; choose another with --name")
