"""`parley models`: list, show, add and remove models; what is in memory, in and out of it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from parley.api.platform.commands import AddModel, RemoveModel
from parley.cli.client import call, find_server
from parley.cli.connect import connect
from parley.cli.failures import CommandFailed, in_one_line
from parley.cli.options import folder_option, server_options
from parley.cli.projector import refuse_misfit
from parley.cli.speech_models import SpeechOrigin, bring_speech_folder, give_to_catalog
from parley.cli.state import change_state, require_installation
from parley.cli.tables import print_table, shown_size
from parley.core.errors import ModelNotFound
from parley.core.snapshot import Snapshot, Weights
from parley.domain.catalog.service import Catalog
from parley.infra.folder import DataFolder
from parley.infra.settings import Settings, load_settings
from parley.operations.add_model import describe_model, import_weights, refuse_taken_name
from parley.operations.records import catalog_files
from parley.operations.weights_header import read_weights


@click.group()
def command() -> None:
    """List, show, add, remove, load and unload models, and connect to servers that have some."""


command.add_command(connect)


@command.command("list")
@folder_option
def list_models(data: Path | None) -> None:
    """Show every name that can be asked for, and what answers it."""
    with in_one_line():
        catalog = _catalog(load_settings({"data": data}))
    print_table(
        ("NAME", "SNAPSHOT", "ANSWERED BY", "SIZE", "CONTEXT", "CAPABILITIES"),
        [_row(name, snapshot, is_alias=is_alias) for name, snapshot, is_alias in catalog.entries()],
    )


@command.command()
@click.argument("name")
@folder_option
def show(name: str, data: Path | None) -> None:
    """Show what NAME stands for."""
    with in_one_line():
        catalog = _catalog(load_settings({"data": data}))
    try:
        snapshot = catalog.resolve(name)
    except ModelNotFound as error:
        raise CommandFailed(error.message) from None
    for label, value in _facts(snapshot):
        click.echo(f"{label:15} {value}")


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="What to call it. [the file's name]")
@click.option("--template", help="How chats are written for it. [told from the file]")
@click.option("--context", type=click.IntRange(128), help="Tokens that a slot serves. [the model's, up to 8,192]")
@click.option(
    "--projector",
    type=click.Path(path_type=Path),
    help="The GGUF file (mmproj) that sees for it: it then takes images.",
)
@folder_option
def add(
    path: Path,
    name: str | None,
    template: str | None,
    context: int | None,
    projector: Path | None,
    data: Path | None,
) -> None:
    """Copy the model at PATH into the data folder and let it answer every stand-in name of its kind from now on.

    A GGUF file generates text; a folder that holds a Whisper model in CTranslate2's form or in that of transformers hears.
    """
    with in_one_line():
        if str(path).startswith(("http:/", "https:/")):
            raise CommandFailed("that is an address; `parley models connect` adds a model that a server has")
        settings = load_settings({"data": data})
        require_installation(settings)
        if path.is_dir():
            if template is not None or context is not None or projector is not None:
                raise CommandFailed("a model that hears has neither --template nor --context nor --projector")
            _add_speech(settings, path, name)
            return
        files = catalog_files(DataFolder(settings.data))
        if template is not None and template not in files.templates:
            raise CommandFailed(f"there is no template {template!r}; there are {', '.join(sorted(files.templates))}")
        wanted = describe_model(path, read_weights, name=name, template=template, context_length=context)
        refuse_taken_name(Catalog(files.read()), wanted.name)
        if projector is not None:
            asyncio.run(refuse_misfit(path, projector))
        folder = DataFolder(settings.data)
        folder.prepare()
        sha256 = _imported(folder, path)
        projector_sha256 = None if projector is None else _imported(folder, projector)
        addition = AddModel(
            name=wanted.name,
            sha256=sha256,
            template=wanted.template,
            context_length=wanted.context_length,
            num_parameters=wanted.num_parameters,
            projector_sha256=projector_sha256,
        )
        reply = change_state(settings, addition)
    click.echo(
        f"{reply.snapshot} was added (template {wanted.template}, {wanted.context_length:,} tokens of context). "
        f"`{wanted.name}` and every stand-in name are answered by it now."
    )


def _add_speech(settings: Settings, path: Path, name: str | None) -> None:
    called = name or path.resolve().name
    with _copying() as on_progress:
        addition = asyncio.run(bring_speech_folder(settings, path, SpeechOrigin(name=called), on_progress))
    click.echo(give_to_catalog(settings, addition))


@contextmanager
def _copying() -> Iterator[Callable[[int, int], None]]:
    """A bar, and what moves it: bytes done, bytes in all."""
    columns = (TextColumn("Copying and hashing"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("copy")
        yield lambda done, size: progress.update(task, completed=done, total=size)


@command.command()
@click.argument("name")
@folder_option
def remove(name: str, data: Path | None) -> None:
    """Remove the model NAME: its names, and its file. One that the running server has in memory is refused."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), RemoveModel(name=name))
    click.echo(f"{reply.removed} was removed. Every stand-in name is answered by {reply.default}.")


@command.command()
@server_options
def ps(url: str | None, key: str | None, data: Path | None) -> None:
    """Show which models are in the running server's memory."""
    with in_one_line():
        answer = asyncio.run(call(find_server(url=url, key=key, data=data), "GET", "/v1/replicas"))
    print_table(
        ("WEIGHTS", "STATE", "MEMORY", "RUNNING", "WAITING", "IDLE", "LEAVES"),
        [_replica_row(replica) for replica in answer["data"]],
    )
    click.echo(f"{_mebibytes(answer['memory_budget_bytes'])} for all models together")


@command.command()
@click.argument("name")
@server_options
def load(name: str, url: str | None, key: str | None, data: Path | None) -> None:
    """Bring NAME into the running server's memory."""
    with in_one_line():
        server = find_server(url=url, key=key, data=data)
        replica = asyncio.run(call(server, "POST", f"/v1/models/{quote(name, safe='')}/load"))
    click.echo(f"{replica['weights']} is loaded; it takes about {_mebibytes(replica['memory_bytes'])}")


@command.command()
@click.argument("name")
@server_options
def unload(name: str, url: str | None, key: str | None, data: Path | None) -> None:
    """Put NAME out of the running server's memory, when nobody uses it."""
    with in_one_line():
        server = find_server(url=url, key=key, data=data)
        replica = asyncio.run(call(server, "POST", f"/v1/models/{quote(name, safe='')}/unload"))
    click.echo(f"{replica['weights']} is not in memory")


def _imported(folder: DataFolder, path: Path) -> str:
    """The hash of a file that was copied into the data folder, with its progress shown."""
    with _copying() as on_progress:
        return import_weights(folder, path, on_progress)


def _replica_row(replica: Mapping[str, Any]) -> tuple[str, ...]:
    idle, keep_alive = replica["idle_seconds"], replica["keep_alive_seconds"]
    leaves = "never (pinned)" if replica["is_pinned"] else "when room is needed"
    if keep_alive is not None and not replica["is_pinned"]:
        leaves = f"after {keep_alive:,.0f} s of idling"
    return (
        replica["weights"],
        replica["residency"],
        _mebibytes(replica["memory_bytes"]) if replica["memory_bytes"] else "",
        f"{replica['num_slots'] - replica['num_free_slots']} of {replica['num_slots']}",
        str(replica["num_waiting"]),
        "" if idle is None else f"{idle:,.0f} s",
        leaves,
    )


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def _catalog(settings: Settings) -> Catalog:
    require_installation(settings)
    return Catalog(catalog_files(DataFolder(settings.data)).read())


def _row(name: str, snapshot: Snapshot, *, is_alias: bool) -> tuple[str, ...]:
    return (
        name,
        snapshot.name if is_alias else "",
        snapshot.weights.name if snapshot.weights else "nothing installed",
        _size(snapshot.weights),
        f"{snapshot.context_length:,}" if snapshot.weights and not snapshot.weights.is_speech else "",
        ", ".join(sorted(snapshot.capabilities)),
    )


def _size(weights: Weights | None) -> str:
    if weights is None or weights.path is None:
        return ""
    try:
        files = weights.path.iterdir() if weights.path.is_dir() else (weights.path,)
        return shown_size(sum(file.stat().st_size for file in files))
    except OSError:
        return "missing"


def _facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    facts = [
        ("snapshot", snapshot.name),
        ("family", snapshot.family),
        ("capabilities", ", ".join(sorted(snapshot.capabilities))),
        ("promises", f"{snapshot.promised_context_length:,} tokens of context"),
    ]
    if snapshot.shutdown_date is not None:
        facts.append(("shutdown", snapshot.shutdown_date.isoformat()))
    if snapshot.weights is None:
        return [*facts, ("answered by", "nothing: no weights that can do this are installed")]
    chosen = "the best that hears" if snapshot.weights.is_speech else "whatever was installed last"
    why = f" (a stand-in: {chosen})" if snapshot.is_stand_in else " (pinned)"
    if snapshot.translating_weights is not None:
        facts.append(("translated by", snapshot.translating_weights.name))
    return [*facts, ("answered by", snapshot.weights.name + why), *_weights_facts(snapshot, snapshot.weights)]


def _weights_facts(snapshot: Snapshot, weights: Weights) -> list[tuple[str, str]]:
    facts = []
    if weights.speech is None:
        facts.append(("serves", f"{snapshot.context_length:,} tokens of context"))
    if weights.upstream is not None:
        facts += [("upstream", f"{weights.upstream.model} at {weights.upstream.url} ({weights.upstream.kind})")]
    if weights.is_tokenized_here and weights.speech is None:
        facts.append(("template", weights.template))
    if weights.num_parameters is not None:
        facts.append(("parameters", f"{weights.num_parameters:,}"))
    if weights.path is not None:
        facts += [("file", f"{weights.path} ({_size(weights)})"), ("sha256", str(weights.sha256))]
    if weights.projector is not None:
        facts += [("projector", str(weights.projector)), ("its sha256", str(weights.projector_sha256))]
    facts += [(label, text) for label, text in (("source", weights.source), ("licence", weights.licence)) if text]
    return [*facts, ("description", weights.description)] if weights.description else facts
