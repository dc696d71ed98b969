"""Add a model that hears: bring its folder into the data folder under its hash, then into the catalog; whisper-1 means the best."""

import asyncio
import json
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from parley.core.ct2 import (
    MODEL_FILE,
    TAKEN_FILES,
    TRANSFORMERS_FILE,
    InvalidSpeechFolder,
    WhisperFacts,
    read_whisper,
)
from parley.core.languages import LANGUAGES
from parley.core.snapshot import Capability, EngineKind, Snapshot
from parley.domain.catalog.editing import Addition
from parley.domain.catalog.entries import SnapshotEntry, WeightsEntry
from parley.domain.catalog.model import CatalogError, Contents, hearing_rank, is_valid_name
from parley.domain.catalog.verified import hash_of_hashes
from parley.infra.folder import DataFolder, sync_folder
from parley.infra.sandbox import Limits, WorkerFailed, start_worker
from parley.operations.add_model import copy_file, free_name, pinned_snapshot, refuse_taken_name, weights_name
from parley.operations.records import Records

# No checkpoint is larger; the converter may write nothing else.
_MOST_BYTES = 32 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSpeechModel:
    """What to add: a folder that is in the data folder under its hash, and what it is to be called."""

    name: str
    sha256: str
    facts: WhisperFacts
    # Where it was pulled from and its makers' licence; "" for a folder of the operator's.
    source: str = ""
    licence: str = ""


def describe_speech_model(path: Path, *, name: str | None) -> AddSpeechModel:
    """What adding the folder at `path` would mean, its hash left open. Raises CatalogError when it cannot be added."""
    called = path.resolve().name if name is None else name
    if not is_valid_name(called) or len(called) > 100:
        raise CatalogError(f"a model cannot be called {called!r}; choose letters, digits and _ . : - with --name")
    try:
        return AddSpeechModel(name=called, sha256="", facts=read_whisper(path))
    except InvalidSpeechFolder as error:
        raise CatalogError(str(error)) from None


@asynccontextmanager
async def in_runtime_form(folder: DataFolder, path: Path) -> AsyncIterator[Path]:
    """The folder at `path`, or, of one in transformers' form, what a worker converts it to. Raises CatalogError."""
    if (path / MODEL_FILE).is_file() or not (path / TRANSFORMERS_FILE).is_file():
        yield path
        return
    target = folder.models_path / f".{secrets.token_hex(8)}.part"
    try:
        target.mkdir(mode=0o700)
        await _convert(path, target)
        yield target
    except OSError as error:
        raise CatalogError(f"{path} cannot be converted in {folder.models_path}: {error.strerror}") from None
    finally:
        shutil.rmtree(target, ignore_errors=True)


async def _convert(path: Path, target: Path) -> None:
    options = {"source": str(path), "target": str(target)}
    try:
        worker = await start_worker(
            "parley.workers.convert_whisper", [json.dumps(options)], limits=Limits(file_bytes=_MOST_BYTES)
        )
        try:
            header, _ = await worker.receive()
            while header.get("event") == "ready":
                header, _ = await worker.receive()
        finally:
            await asyncio.shield(worker.stop())
    except WorkerFailed as error:
        raise CatalogError(f"{path} cannot be converted: {error}: {error.last_words[-300:]}") from None
    if header.get("event") == "refused":
        raise CatalogError(f"{path} cannot be converted: {header.get('message')}")


def import_speech_folder(folder: DataFolder, path: Path, on_progress: Callable[[int, int], None]) -> str:
    """Copy what a model needs of a folder to `models/<hash>`, read-only, and return the hash. Raises CatalogError."""
    temporary = folder.models_path / f".{secrets.token_hex(8)}.part"
    files = [path / name for name in TAKEN_FILES if (path / name).is_file()]
    try:
        size = sum(file.stat().st_size for file in files)
        temporary.mkdir(mode=0o700)
        hashes, done = {}, 0
        for file in files:
            hashes[file.name] = copy_file(file, temporary / file.name, partial(_add_progress, on_progress, done, size))
            done += file.stat().st_size
        digest = hash_of_hashes(hashes)
        target = folder.models_path / digest
        if not target.exists():
            temporary.replace(target)
        sync_folder(folder.models_path)
    except OSError as error:
        raise CatalogError(f"{path} cannot be copied to {folder.models_path}: {error.strerror}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return digest


def _add_progress(on_progress: Callable[[int, int], None], before: int, size: int, done: int) -> None:
    on_progress(before + done, size)


async def add_speech_model(records: Records, addition: AddSpeechModel) -> Snapshot:
    """Let the catalog have a folder that was imported; whisper-1 is answered by it unless what answers now is better.

    Raises CatalogError.
    """
    async with records.catalog_turn:
        name, contents = await asyncio.to_thread(_add, records, addition)
        await records.put_in_force(contents)
    return records.catalog.resolve(name)


def _add(records: Records, addition: AddSpeechModel) -> tuple[str, Contents]:
    refuse_taken_name(records.catalog, addition.name)
    today = datetime.fromtimestamp(records.clock.now(), UTC).date()
    facts = addition.facts
    weights = WeightsEntry(
        name=weights_name(addition.name, addition.sha256),
        engine=EngineKind.WHISPER,
        file=f"models/{addition.sha256}",
        sha256=addition.sha256,
        parameters=facts.num_parameters,
        languages=_languages(facts),
        translates=facts.can_translate,
        source=addition.source,
        licence=addition.licence,
    )
    pinned = pinned_snapshot(records, weights.name)
    snapshot = SnapshotEntry(
        name=pinned or free_name(records, f"{addition.name}-{today.isoformat()}"),
        family=addition.name,
        weights=weights.name,
        context=0,
        capabilities=[Capability.TRANSCRIBE],
        price="free",
        created=today,
    )
    now = records.catalog.default_speech_weights
    rank = True, facts.is_multilingual, facts.num_parameters
    is_best = now is None or rank >= hearing_rank(now)
    contents = records.catalog_files.add(
        Addition(weights=weights, snapshot=snapshot, alias=addition.name, is_default=is_best)
    )
    return snapshot.name, contents


def _languages(facts: WhisperFacts) -> list[str]:
    """As an entry of the catalog has them: none named are all."""
    if not facts.is_multilingual:
        return ["en"]
    return [] if facts.hears_cantonese else sorted(LANGUAGES.keys() - {"yue"})
