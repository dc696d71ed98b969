"""Add a model: bring its file into the data folder under its hash, then into the catalog, and make it the default."""

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from parley.core.errors import ModelNotFound
from parley.core.snapshot import Capability, EngineKind, Snapshot
from parley.domain.catalog.editing import Addition
from parley.domain.catalog.entries import SnapshotEntry, WeightsEntry
from parley.domain.catalog.model import CatalogError, Contents, WeightsFacts, detect_template, is_valid_name
from parley.domain.catalog.service import Catalog
from parley.infra.folder import DataFolder, sync_folder
from parley.operations.records import Records

# A model's whole window can be far larger than the memory at hand; more is served only when it is asked for.
_USUAL_CONTEXT = 8192
_CHUNK_BYTES = 1 << 22

WeightsReader = Callable[[Path], WeightsFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddModel:
    """What to add: weights that are in the data folder under their hash, and what they are to be called."""

    name: str
    sha256: str
    template: str
    context_length: int
    num_parameters: int | None = None
    # Where it was pulled from and its makers' licence; "" for a file of the operator's.
    source: str = ""
    licence: str = ""
    # The hash of its projector, which is in the data folder too.
    projector_sha256: str | None = None


def describe_model(
    path: Path, read_weights: WeightsReader, *, name: str | None, template: str | None, context_length: int | None
) -> AddModel:
    """What adding the file at `path` would mean, its hash left open. Raises CatalogError when it cannot be added."""
    facts = read_weights(path)
    called = path.stem if name is None else name
    if not is_valid_name(called) or len(called) > 100:
        raise CatalogError(f"a model cannot be called {called!r}; choose letters, digits and _ . : - with --name")
    family = template or detect_template(facts.chat_template)
    if family is None:
        raise CatalogError(f"{path}: its chat template is of no family that we know; name one with --template")
    if context_length is not None and context_length > facts.context_length:
        raise CatalogError(f"{path}: the model was made for {facts.context_length} tokens, not {context_length}")
    return AddModel(
        name=called,
        sha256="",
        template=family,
        context_length=context_length or min(facts.context_length, _USUAL_CONTEXT),
        num_parameters=facts.num_parameters,
    )


def refuse_taken_name(catalog: Catalog, name: str) -> None:
    """Raise CatalogError where the name already means something else than what was added under it before."""
    try:
        snapshot = catalog.resolve(name)
    except ModelNotFound:
        return
    weights = snapshot.weights
    if weights is not None and weights.sha256 is not None and weights.name == weights_name(name, weights.sha256):
        return
    reason = "stands in for OpenAI's" if weights is None or snapshot.is_stand_in else "is taken"
    raise CatalogError(f"a model cannot be called {name}: that name {reason}; choose another with --name")


def import_weights(folder: DataFolder, path: Path, on_progress: Callable[[int, int], None]) -> str:
    """Copy a file to `models/<sha256>.gguf`, read-only, and return its SHA-256. Raises CatalogError.

    A copy, because an engine maps the file: one that its owner edits or cuts would kill the engine. It is visible under
    its hash only when it is whole and on the disk. `on_progress` gets bytes done and bytes in all.
    """
    temporary = folder.models_path / f".{secrets.token_hex(8)}.part"
    try:
        size = path.stat().st_size
        free = shutil.disk_usage(folder.models_path).free
        if size > free:
            raise CatalogError(f"{path} needs {size:,} bytes in {folder.models_path}, where {free:,} are free")
        sha256 = copy_file(path, temporary, lambda done: on_progress(done, size))
        target = folder.models_path / f"{sha256}.gguf"
        temporary.replace(target)
        sync_folder(folder.models_path)
    except OSError as error:
        raise CatalogError(f"{path} cannot be copied to {folder.models_path}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return sha256


def adopt_weights(folder: DataFolder, path: Path, sha256: str) -> None:
    """Move a whole, read-only file on the same disk to `models/<sha256>.gguf`. `sha256` is its hash. Raises CatalogError."""
    try:
        path.replace(folder.models_path / f"{sha256}.gguf")
        sync_folder(folder.models_path)
    except OSError as error:
        raise CatalogError(f"{path} cannot be moved to {folder.models_path}: {error.strerror}") from None


async def add_model(records: Records, addition: AddModel) -> Snapshot:
    """Let the catalog have weights that were imported, as what every stand-in name is answered by from now on.

    Adding the same again changes nothing but the default. Raises CatalogError.
    """
    async with records.catalog_turn:
        name, contents = await asyncio.to_thread(_add, records, addition)
        await records.put_in_force(contents)
    return records.catalog.resolve(name)


def _add(records: Records, addition: AddModel) -> tuple[str, Contents]:
    refuse_taken_name(records.catalog, addition.name)
    today = datetime.fromtimestamp(records.clock.now(), UTC).date()
    projector = addition.projector_sha256
    weights = WeightsEntry(
        name=weights_name(addition.name, addition.sha256),
        engine=EngineKind.LLAMA,
        file=f"models/{addition.sha256}.gguf",
        sha256=addition.sha256,
        context=addition.context_length,
        template=addition.template,
        parameters=addition.num_parameters,
        source=addition.source,
        licence=addition.licence,
        projector=None if projector is None else f"models/{projector}.gguf",
        projector_sha256=projector,
    )
    pinned = pinned_snapshot(records, weights.name)
    snapshot = SnapshotEntry(
        name=pinned or free_name(records, f"{addition.name}-{today.isoformat()}"),
        family=addition.name,
        weights=weights.name,
        context=addition.context_length,
        capabilities=[Capability.CHAT, Capability.COMPLETE, Capability.EDIT],
        price="free",
        created=today,
    )
    contents = records.catalog_files.add(Addition(weights=weights, snapshot=snapshot, alias=addition.name))
    return snapshot.name, contents


def weights_name(name: str, sha256: str) -> str:
    """What weights are called that were added under a name."""
    return f"{name}-{sha256[:8]}"


def pinned_snapshot(records: Records, weights_name: str) -> str | None:
    """The snapshot that an earlier addition pinned to these weights."""
    for name, snapshot, is_alias in records.catalog.entries():
        if not is_alias and not snapshot.is_stand_in and snapshot.weights and snapshot.weights.name == weights_name:
            return name
    return None


def free_name(records: Records, wanted: str) -> str:
    """The name, or with a number the next one that nothing is called."""
    taken = {name for name, _, _ in records.catalog.entries()}
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def copy_file(source: Path, target: Path, on_progress: Callable[[int], None]) -> str:
    """Copy a file to a new, read-only one, on the disk; its SHA-256. Raises OSError."""
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as written:
        done = 0
        while chunk := read.read(_CHUNK_BYTES):
            digest.update(chunk)
            written.write(chunk)
            done += len(chunk)
            on_progress(done)
        written.flush()
        os.fsync(written.fileno())
    return digest.hexdigest()
