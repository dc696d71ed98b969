"""Changes of the catalog in the audit log. The catalog is a file: its change is there first, and is noted right after."""

from dataclasses import dataclass

from parley.core.errors import NotFound
from parley.core.snapshot import Weights
from parley.infra.db import Transaction
from parley.operations.authority import note
from parley.operations.command_line import operator
from parley.operations.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownModel:
    """A model as the audit log shows it, with what answers the names that stand in for OpenAI's beside it."""

    id: str
    weights: str
    sha256: str | None
    source: str | None
    upstream: str | None
    default_weights: str
    default_speech_weights: str | None


def shown_model(records: Records, name: str, weights: Weights) -> ShownModel:
    """The model `name` as the catalog has it now."""
    speech = records.catalog.default_speech_weights
    return ShownModel(
        id=name,
        weights=weights.name,
        sha256=weights.sha256,
        source=weights.source,
        upstream=None if weights.upstream is None else weights.upstream.url,
        default_weights=records.catalog.default_weights.name,
        default_speech_weights=None if speech is None else speech.name,
    )


async def note_model(records: Records, type_: str, *, before: ShownModel | None, after: ShownModel | None) -> None:
    """Note that a model came or went, at the operator's word. Before the first start there is nobody's log to have it."""
    try:
        actor = await operator(records)
    except NotFound:
        return

    def work(transaction: Transaction) -> None:
        note(records, transaction, actor, type_, before=before, after=after)

    await records.database.transaction(work)
