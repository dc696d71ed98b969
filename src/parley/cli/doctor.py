"""`parley doctor`: looks at what a server needs and says what to do about what is missing. It changes nothing."""

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import click

from parley.api.platform.commands import ShowStatus
from parley.api.platform.control import ask
from parley.cli.failures import REFUSED, in_one_line
from parley.cli.options import folder_option
from parley.core.errors import OperatorError
from parley.core.llama_library import Unsupported, library_path
from parley.domain.limits.tiers import read_tiers
from parley.infra.db import Connection, reading
from parley.infra.fetch import Fetcher, FetchFailed
from parley.infra.folder import DataFolder
from parley.infra.memory import available_memory
from parley.infra.postgres_engine import lacks_of_durability
from parley.infra.sandbox import WorkerFailed, confinement_report
from parley.infra.schema import DatabaseEmpty, DatabaseOutdated
from parley.infra.settings import Settings, load_settings, unknown_variables
from parley.infra.sqlite import quick_check, verify_file
from parley.operations.owner_key import check_owner_key
from parley.operations.records import catalog_files

_MIN_FREE_DISK_BYTES = 512 * 2**20
# Beside the weights: contexts of the default slots, the engine's own buffers, the server.
_MEMORY_BESIDE_WEIGHTS_BYTES = 600 * 2**20


class Verdict(Enum):
    """How a finding is shown."""

    OK = ("ok", "green")
    WARNING = ("warning", "yellow")
    PROBLEM = ("problem", "red")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do."""

    verdict: Verdict
    text: str


_POSTGRES = Finding(Verdict.OK, "records are kept by PostgreSQL, whose own tools check it")


@click.command()
@click.option("--hub", is_flag=True, help="Ask the model hub too, which `parley pull` needs and nothing else.")
@folder_option
def command(hub: bool, data: Path | None) -> None:
    """Check ports, memory, disk, the data folder, the models and the kernel. Ends with 1 when there is a problem."""
    with in_one_line():
        settings = load_settings({"data": data})
    has_problem = False
    for finding in (*examine(settings), *([_check_hub(settings)] if hub else [])):
        word, colour = finding.verdict.value
        click.echo(f"{click.style(f'{word:8}', fg=colour)} {finding.text}")
        has_problem = has_problem or finding.verdict is Verdict.PROBLEM
    raise SystemExit(REFUSED if has_problem else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, in the order in which a start would meet them."""
    for line in unknown_variables():
        yield Finding(Verdict.WARNING, line)
    folder = DataFolder(settings.data)
    yield from _check_folder(folder)
    yield from _check_database(settings)
    yield from _check_tiers(folder)
    yield from _check_models(folder)
    yield from _check_llama(settings)
    yield _check_port(settings, folder)
    yield _check_memory(folder)
    yield _check_disk(settings.data)
    yield from _check_confinement()


def _check_folder(folder: DataFolder) -> Iterator[Finding]:
    if not folder.path.exists():
        yield Finding(Verdict.OK, f"data folder {folder.path} does not exist yet; the first start makes it")
        return
    if not os.access(folder.path, os.W_OK | os.X_OK):
        yield Finding(
            Verdict.PROBLEM, f"data folder {folder.path} cannot be written by this user: chown it to the user"
        )
        return
    yield Finding(Verdict.OK, f"data folder {folder.path} can be written")
    private = (folder.path, folder.pepper_path, folder.owner_key_path)
    for path in private:
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(Verdict.WARNING, f"{path} is open to other users: chmod go= '{path}'")


def _check_database(settings: Settings) -> Iterator[Finding]:
    place = settings.database_place
    folder = DataFolder(settings.data)
    was_in_use = folder.owner_key_path.exists()
    if isinstance(place, Path) and not place.exists():
        if was_in_use:
            yield Finding(
                Verdict.PROBLEM, f"the database {place} is missing, though the folder was in use: restore a backup"
            )
        return
    try:
        found = _check_file(place) if isinstance(place, Path) else _POSTGRES
        yield found
        if found.verdict is Verdict.PROBLEM:
            return
        with reading(place) as connection:
            yield from _check_durability(connection)
            check_owner_key(connection, folder)
    except DatabaseOutdated as error:
        yield Finding(Verdict.WARNING, str(error))
    except DatabaseEmpty as error:
        if was_in_use:
            yield Finding(Verdict.PROBLEM, str(error))
    except OperatorError as error:
        yield Finding(Verdict.PROBLEM, str(error))
    else:
        yield Finding(Verdict.OK, "the database is of this version, and belongs to the pepper as far as can be seen")


def _check_durability(connection: Connection) -> Iterator[Finding]:
    for name in lacks_of_durability(connection):
        yield Finding(
            Verdict.WARNING, f"PostgreSQL runs with {name}=off: a power cut may damage it, and take what was charged"
        )


def _check_file(path: Path) -> Finding:
    verify_file(path)
    verdict = quick_check(path)
    if verdict == "ok":
        return Finding(Verdict.OK, f"database {path} is sound")
    return Finding(Verdict.PROBLEM, f"the database {path} is damaged ({verdict}): restore it from a backup")


def _check_tiers(folder: DataFolder) -> Iterator[Finding]:
    try:
        read_tiers(folder.tiers_path)
    except OperatorError as error:
        yield Finding(Verdict.PROBLEM, str(error))


def _check_models(folder: DataFolder) -> Iterator[Finding]:
    files = catalog_files(folder)
    try:
        contents = files.read()
    except OperatorError as error:
        yield Finding(Verdict.PROBLEM, str(error))
        return
    for warning in contents.warnings:
        yield Finding(Verdict.WARNING, warning)
    for weights in contents.weights.values():
        if weights.path is None:
            continue
        try:
            files.verify(weights)
        except OperatorError as error:
            yield Finding(Verdict.PROBLEM, str(error))
        else:
            size = weights.path.stat().st_size / 1e6
            origin = "was added" if weights.path.parent == folder.models_path else "ships"
            yield Finding(Verdict.OK, f"model {weights.name} is the file that {origin} ({size:,.0f} MB)")


def _check_llama(settings: Settings) -> Iterator[Finding]:
    build = settings.llama_build
    if build is None:
        return
    try:
        library_path(build)
    except Unsupported as error:
        yield Finding(Verdict.PROBLEM, f"no model can be loaded: {error}; `make native` again, or unset llama_build")
    else:
        yield Finding(Verdict.OK, f"llama.cpp is the one in {build}, built for this processor")


def _check_port(settings: Settings, folder: DataFolder) -> Finding:
    try:
        status = ask(folder.control_path, ShowStatus())
    except OSError:
        status = None
    if status is not None:
        return Finding(Verdict.OK, f"a server runs on this data folder (pid {status.pid}) at {status.url}")
    address = f"{settings.host} port {settings.port}"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return Finding(
            Verdict.PROBLEM, f"{address} cannot be listened on ({error.strerror}): choose another with PARLEY_PORT"
        )
    return Finding(Verdict.OK, f"{address} is free")


def _check_hub(settings: Settings) -> Finding:
    async def ask_it() -> int:
        async with Fetcher(trusted=settings.hub_endpoint) as fetcher, fetcher.get(settings.hub_endpoint) as response:
            return response.status

    try:
        status = asyncio.run(ask_it())
    except FetchFailed as error:
        return Finding(Verdict.WARNING, f"`parley pull` has no hub: {error}")
    return Finding(Verdict.OK, f"{settings.hub_endpoint} answers (HTTP {status})")


def _check_memory(folder: DataFolder) -> Finding:
    available = available_memory()
    if available is None:
        return Finding(Verdict.WARNING, "the kernel does not say how much memory is available")
    try:
        path = catalog_files(folder).read().default_weights.path
        weights = path.stat().st_size if path is not None else 0
    except (OperatorError, OSError):
        weights = 0
    needed = weights + _MEMORY_BESIDE_WEIGHTS_BYTES
    text = f"{available / 1e9:,.1f} GB of memory available, about {needed / 1e9:,.1f} GB needed by the default model"
    if available < needed:
        return Finding(Verdict.WARNING, f"{text}: end other programs, lower PARLEY_NUM_SLOTS or add a smaller model")
    return Finding(Verdict.OK, text)


def _check_disk(data: Path) -> Finding:
    existing = next(path for path in (data, *data.parents) if path.exists())
    usage = shutil.disk_usage(existing)
    text = f"{usage.free / 1e9:,.1f} GB free on the disk of {existing}"
    if usage.free < _MIN_FREE_DISK_BYTES or usage.free < usage.total * 0.05:
        return Finding(Verdict.WARNING, f"{text}: make room, below 512 MB or 5 % records may not be kept")
    return Finding(Verdict.OK, text)


def _check_confinement() -> Iterator[Finding]:
    try:
        held = asyncio.run(confinement_report())
    except WorkerFailed as error:
        yield Finding(Verdict.PROBLEM, f"child programs cannot be started: {error}")
        return
    for name, holds in held.items():
        if holds:
            yield Finding(Verdict.OK, f"child programs are confined by {name}")
        else:
            yield Finding(Verdict.WARNING, f"this kernel does not allow {name}; child programs run without it")
