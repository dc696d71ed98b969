"""Models that hear, as `parley models add` and `parley pull` both bring them in: converted where they must be, then kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parley.api.platform.commands import AddSpeechModel
from parley.cli.state import change_state
from parley.domain.catalog.service import Catalog
from parley.infra.folder import DataFolder
from parley.infra.settings import Settings
from parley.operations.add_model import refuse_taken_name, weights_name
from parley.operations.add_speech_model import describe_speech_model, import_speech_folder, in_runtime_form
from parley.operations.records import catalog_files


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechOrigin:
    """What a folder is to be called, where it was pulled from, and under which licence."""

    name: str
    source: str = ""
    licence: str = ""


async def bring_speech_folder(
    settings: Settings, path: Path, origin: SpeechOrigin, on_progress: Callable[[int, int], None]
) -> AddSpeechModel:
    """Have the model in the folder at `path` in the data folder; what is left is to tell the catalog. Raises CatalogError."""
    folder = DataFolder(settings.data)
    refuse_taken_name(Catalog(catalog_files(folder).read()), origin.name)
    folder.prepare()
    async with in_runtime_form(folder, path) as prepared:
        wanted = describe_speech_model(prepared, name=origin.name)
        sha256 = await asyncio.to_thread(import_speech_folder, folder, prepared, on_progress)
    return AddSpeechModel(
        name=wanted.name, sha256=sha256, facts=wanted.facts, source=origin.source, licence=origin.licence
    )


def give_to_catalog(settings: Settings, addition: AddSpeechModel) -> str:
    """Have the model in the catalog; what there is to say of it. Raises CommandFailed."""
    reply = change_state(settings, addition)
    hears = "all of Whisper's languages" if addition.facts.is_multilingual else "English"
    translates = ", and translates into English" if addition.facts.can_translate else ""
    added = f"{reply.snapshot} was added; it hears {hears}{translates}."
    if reply.default == weights_name(addition.name, addition.sha256):
        return f"{added} `{addition.name}` and whisper-1 are answered by it now."
    return (
        f"{added} `{addition.name}` is answered by it now, whisper-1 still by {reply.default}, which is larger or hears more "
        "languages; catalog.toml in the data folder (default_speech_weights) changes that."
    )
