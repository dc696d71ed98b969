"""From the entries of the catalog's file to core's types, each reference followed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from parley.core.languages import LANGUAGES
from parley.core.price import Price
from parley.core.snapshot import Capability, EngineKind, Snapshot, SpeechAbilities, Weights
from parley.core.template import TOOL_TEMPLATE_NAMES
from parley.domain.catalog.entries import CatalogFile, PriceEntry, SnapshotEntry, WeightsEntry
from parley.domain.catalog.model import (
    DEFAULT_REFERENCE,
    CatalogError,
    Places,
    hearing_rank,
    is_valid_name,
    price_version,
)
from parley.domain.catalog.upstreams import read_upstream


class Builder:
    """From entries to core's types. The only place that gives a wrong reference its message."""

    def __init__(self, places: Places, templates: frozenset[str], snapshots: Sequence[SnapshotEntry]) -> None:
        """`snapshots` are those that will be built: what a name can do says something of the weights it is pinned to."""
        self._places = places
        self._templates = templates
        self._completing_alone = _completing_alone(snapshots)

    def weights(self, entry: WeightsEntry) -> Weights:
        where = f"{self._places.file}: weights {entry.name!r}"
        if not is_valid_name(entry.name) or entry.name == DEFAULT_REFERENCE:
            raise CatalogError(f"{where}: the name may have letters, digits and _ . : - only, and not be 'default'")
        if entry.upstream is not None or entry.engine is EngineKind.UPSTREAM:
            return self._upstream_weights(entry, where)
        if entry.engine in (EngineKind.SPHINX, EngineKind.WHISPER):
            return self._speech_weights(entry, where)
        if not entry.context:
            raise CatalogError(f"{where}: context is missing")
        if entry.template not in self._templates:
            known = ", ".join(sorted(self._templates))
            raise CatalogError(f"{where}: there is no template {entry.template!r}; there are {known}")
        if (entry.engine is EngineKind.ECHO) != (entry.file is None):
            raise CatalogError(f"{where}: a file is needed by every engine but echo, which has none")
        if entry.file is not None and entry.sha256 is None:
            raise CatalogError(f"{where}: sha256 is missing")
        if (entry.projector is None) != (entry.projector_sha256 is None):
            raise CatalogError(f"{where}: projector and projector_sha256 need each other")
        if entry.projector is not None and entry.engine is not EngineKind.LLAMA:
            raise CatalogError(f"{where}: only the engine llama has a projector")
        return Weights(
            name=entry.name,
            engine=entry.engine,
            path=None if entry.file is None else self._path(entry.file, where),
            sha256=entry.sha256,
            context_length=entry.context,
            template=entry.template,
            num_parameters=entry.parameters,
            description=entry.description,
            source=entry.source,
            licence=entry.licence,
            options=entry.options,
            projector=None if entry.projector is None else self._path(entry.projector, where),
            projector_sha256=entry.projector_sha256,
        )

    def _speech_weights(self, entry: WeightsEntry, where: str) -> Weights:
        """Weights that hear: a folder for Whisper, and the model inside its package for pocketsphinx."""
        is_whisper = entry.engine is EngineKind.WHISPER
        if entry.template is not None or (entry.file is None) != (entry.sha256 is None):
            raise CatalogError(f"{where}: an engine that hears has no template, and file and sha256 need each other")
        if is_whisper != (entry.file is not None):
            raise CatalogError(f"{where}: a file (a folder) is needed by whisper; sphinx has its own")
        unknown = [code for code in entry.languages if code not in LANGUAGES]
        if unknown or (not is_whisper and (entry.translates or entry.languages != ["en"])):
            raise CatalogError(f"{where}: languages are codes such as en; sphinx hears en and does not translate")
        return Weights(
            name=entry.name,
            engine=entry.engine,
            path=None if entry.file is None else self._path(entry.file, where),
            sha256=entry.sha256,
            context_length=0,
            template="plain",
            num_parameters=entry.parameters,
            description=entry.description,
            source=entry.source,
            licence=entry.licence,
            options=entry.options,
            speech=SpeechAbilities(
                languages=frozenset(entry.languages or LANGUAGES),
                can_translate=entry.translates,
                takes_prompt=is_whisper,
                takes_temperature=is_whisper,
            ),
        )

    def _upstream_weights(self, entry: WeightsEntry, where: str) -> Weights:
        """Weights at an upstream; `file` is their vocabulary, and the template counts only with it."""
        if entry.upstream is None or entry.engine is not EngineKind.UPSTREAM:
            raise CatalogError(f'{where}: engine = "upstream" and an upstream need each other')
        if entry.projector is not None:
            raise CatalogError(f"{where}: a projector is for weights that are here")
        if (entry.file is None) != (entry.sha256 is None):
            raise CatalogError(f"{where}: file and sha256 (of the vocabulary) need each other")
        if entry.upstream.vision and entry.file is not None:
            raise CatalogError(
                f"{where}: pictures go with chats that the server writes; upstream.vision excludes a vocabulary"
            )
        if entry.template is None if entry.file is not None else entry.template is not None:
            raise CatalogError(f"{where}: a template is needed with a file for the vocabulary, and only then")
        if entry.template is not None and entry.template not in self._templates:
            known = ", ".join(sorted(self._templates))
            raise CatalogError(f"{where}: there is no template {entry.template!r}; there are {known}")
        return Weights(
            name=entry.name,
            engine=entry.engine,
            path=None if entry.file is None else self._path(entry.file, where),
            sha256=entry.sha256,
            context_length=entry.context,
            template=entry.template or "plain",
            num_parameters=entry.parameters,
            description=entry.description,
            options=entry.options,
            upstream=read_upstream(entry.upstream, where, can_chat=entry.name not in self._completing_alone),
        )

    def _path(self, file: str, where: str) -> Path:
        parts = PurePosixPath(file).parts
        roots = {"bundled": self._places.bundled, "models": self._places.models}
        if len(parts) != 2 or parts[0] not in roots or not is_valid_name(parts[1]):
            raise CatalogError(f"{where}: file must be bundled/NAME or models/NAME, not {file!r}")
        return roots[parts[0]] / parts[1]

    def snapshot(
        self, entry: SnapshotEntry, own: CatalogFile, weights: Mapping[str, Weights], default: Weights | None
    ) -> Snapshot:
        where = f"{self._places.file}: snapshots {entry.name!r}"
        if not is_valid_name(entry.name):
            raise CatalogError(f"{where}: the name may have letters, digits and _ . : - only")
        price = own.prices.get(entry.price)
        if price is None:
            raise CatalogError(f"{where}: there is no price {entry.price!r}")
        is_stand_in = entry.weights == DEFAULT_REFERENCE
        hears = Capability.TRANSCRIBE in entry.capabilities
        translating = _translating(weights, default) if is_stand_in and hears else None
        if entry.weights is not None and not is_stand_in and entry.weights not in weights:
            raise CatalogError(f"{where}: there are no weights named {entry.weights!r}")
        pinned = weights.get(entry.weights) if entry.weights is not None else None
        return Snapshot(
            name=entry.name,
            family=entry.family,
            weights=default if is_stand_in else pinned,
            promised_context_length=entry.context,
            capabilities=frozenset(entry.capabilities)
            | _capabilities(entry, translating or (default if is_stand_in else pinned)),
            price=_price(price, own.price_list),
            created=int(datetime.combine(entry.created, datetime.min.time(), UTC).timestamp()),
            shutdown_date=entry.shutdown_date,
            owned_by=entry.owned_by,
            is_stand_in=is_stand_in,
            translating_weights=translating,
        )


def _translating(weights: Mapping[str, Weights], default: Weights | None) -> Weights | None:
    """What translates where the model that hears cannot: the best of those that can."""
    able = [each for each in weights.values() if each.speech is not None and each.speech.can_translate]
    return None if default in able else max(able, key=hearing_rank, default=None)


def _completing_alone(snapshots: Sequence[SnapshotEntry]) -> frozenset[str]:
    """Weights all of whose names complete, and neither chat nor edit, which is a chat, too."""
    completing = {entry.weights for entry in snapshots if Capability.COMPLETE in entry.capabilities}
    chatting = {entry.weights for entry in snapshots if {Capability.CHAT, Capability.EDIT} & set(entry.capabilities)}
    return frozenset(name for name in completing - chatting if name is not None)


def _capabilities(entry: SnapshotEntry, weights: Weights | None) -> frozenset[Capability]:
    """What follows from the weights: for a model that chats, and for one that hears."""
    if weights is not None and weights.speech is not None and weights.speech.can_translate:
        return frozenset({Capability.TRANSLATE})
    if weights is None or Capability.CHAT not in entry.capabilities:
        return frozenset()
    has = {
        Capability.TOOLS: weights.has_server_tools
        or (weights.upstream is None and weights.template in TOOL_TEMPLATE_NAMES),
        Capability.STRUCTURED_OUTPUT: weights.has_server_tools or weights.can_constrain,
        Capability.VISION: weights.has_vision,
    }
    return frozenset(capability for capability, is_there in has.items() if is_there)


def _price(entry: PriceEntry, label: str) -> Price:
    cached = entry.input if entry.cached is None else entry.cached
    images = tuple(sorted(entry.images.items()))
    # What a price does not name is not in its digest either: the names of prices that were kept before stay the same.
    more = (entry.training, *(part for image in images for part in image)) if entry.training or images else ()
    return Price(
        version=price_version(label, (entry.input, cached, entry.output, entry.audio_second, *more)),
        input_token_nano=entry.input,
        cached_token_nano=cached,
        output_token_nano=entry.output,
        audio_second_nano=entry.audio_second,
        training_token_nano=entry.training,
        image_nano=images,
    )
