"""Pulling a model, as `parley pull` and `parley run` both do it: choose, bring in, look at, give to the catalog."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

import parley.bundled
from parley.api.platform.commands import AddModel, AddSpeechModel
from parley.cli.failures import INTERRUPTED, CommandFailed
from parley.cli.projector import refuse_misfit
from parley.cli.speech_models import SpeechOrigin, bring_speech_folder, give_to_catalog
from parley.cli.state import change_state
from parley.cli.tables import shown_size
from parley.core.snapshot import Weights
from parley.domain.catalog.model import is_valid_name
from parley.domain.catalog.service import Catalog
from parley.domain.catalog.verified import hash_file
from parley.infra.fetch import Fetcher
from parley.infra.folder import DataFolder
from parley.infra.memory import available_memory
from parley.infra.settings import Settings
from parley.jobs.pull.choose import (
    MEMORY_BESIDE_WEIGHTS_BYTES,
    Offer,
    default_offer,
    find_offer,
    offers,
    projector_of,
    quantisation_of,
)
from parley.jobs.pull.file_set import Bringing, FileSet, OnBytes, brought
from parley.jobs.pull.hub import Hub
from parley.jobs.pull.patience import Patience
from parley.jobs.pull.recommended import Recommended, read_recommended
from parley.jobs.pull.reference import HubReference, UrlReference, parse_reference
from parley.jobs.pull.repository import DigestKind, RemoteFile, Repository
from parley.jobs.pull.whisper import whisper_files
from parley.operations.add_model import adopt_weights, describe_model, refuse_taken_name
from parley.operations.records import catalog_files
from parley.operations.weights_header import read_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """What an operator asked for. None where nothing was said."""

    text: str
    name: str | None = None
    template: str | None = None
    context_length: int | None = None
    sha256: str | None = None
    # Whether nobody is to be asked which quantisation to take.
    takes_default: bool = False
    # Whether what sees for the model is left where it is.
    is_text_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Find:
    """A model's file that was found, what sees for it if anything does, and what is known before they are here."""

    file: RemoteFile
    projector: RemoteFile | None = None
    source: str
    licence: str


def recommended_models() -> dict[str, Recommended]:
    """The short list that ships, by name."""
    return read_recommended(Path(parley.bundled.__file__).parent / "recommended.toml")


def pull(settings: Settings, request: PullRequest) -> str:
    """Have the model in the data folder and in the catalog; the name it answers to. Raises CommandFailed or OperatorError.

    Ctrl-C ends the command; what has come so far is kept for the next one.
    """
    files = catalog_files(DataFolder(settings.data))
    if request.template is not None and request.template not in files.templates:
        raise CommandFailed(
            f"there is no template {request.template!r}; there are {', '.join(sorted(files.templates))}"
        )
    catalog = Catalog(files.read())
    try:
        addition = asyncio.run(_bring_in(settings, request, catalog))
    except KeyboardInterrupt:
        click.echo("\nInterrupted. What has come so far is kept; the same command goes on from there.", err=True)
        raise SystemExit(INTERRUPTED) from None
    if isinstance(addition, AddSpeechModel):
        click.echo(give_to_catalog(settings, addition), err=True)
        return addition.name
    reply = change_state(settings, addition)
    click.echo(
        f"{reply.snapshot} was added (template {addition.template}, {addition.context_length:,} tokens of context). "
        f"`{addition.name}` and every stand-in name are answered by it now.",
        err=True,
    )
    return addition.name


def pulled_before(catalog: Catalog, text: str, *, endpoint: str) -> str | None:
    """The name of a model that was pulled as `text` earlier; None when there is none. Raises PullFailed for no reference."""
    reference = parse_reference(text, recommended_models(), endpoint=endpoint)
    for name, snapshot, _ in catalog.entries():
        if not snapshot.is_stand_in and snapshot.weights is not None and _is_of(snapshot.weights, reference):
            return name
    return None


def _is_of(weights: Weights, reference: HubReference | UrlReference) -> bool:
    if isinstance(reference, UrlReference):
        return weights.source == _without_secrets(reference.url)
    place, _, commit_and_file = weights.source.partition("@")
    if place != f"hf://{reference.repository}":
        return False
    commit, _, path = commit_and_file.partition("/")
    is_same_revision = reference.revision in {"main", commit}
    quantisation = quantisation_of(str(PurePosixPath(path).with_suffix("")))
    return is_same_revision and (
        reference.choice is None or reference.choice == path or reference.choice.upper() == quantisation
    )


async def _bring_in(settings: Settings, request: PullRequest, catalog: Catalog) -> AddModel | AddSpeechModel:
    reference = parse_reference(request.text, recommended_models(), endpoint=settings.hub_endpoint)
    token = settings.hub_token.get_secret_value() if settings.hub_token is not None else None
    folder = DataFolder(settings.data)
    folder.prepare()
    async with Fetcher(trusted=settings.hub_endpoint, token=token) as fetcher:
        hub = Hub(fetcher, endpoint=settings.hub_endpoint, patience=Patience())
        if isinstance(reference, UrlReference):
            found = await _find_file(hub, reference, request)
        elif request.sha256 is not None:
            raise CommandFailed("--sha256 is for URLs; the hub says itself what its files hash to")
        else:
            repository = await hub.repository(reference)
            if reference.choice is None and (hearing := whisper_files(repository)) is not None:
                return await _bring_speech(settings, request, fetcher, repository, hearing)
            found = _find_offer(repository, reference, request)
        name = _name(request, PurePosixPath(found.file.path).stem)
        refuse_taken_name(catalog, name)
        _announce(found.source, found.file.size, found.licence)
        files = (found.file,) if found.projector is None else (found.file, found.projector)
        missing = tuple(file for file in files if _here(folder, file) is None)
        if not missing:
            return await _described([_at(folder, file) for file in files], name, request, found)
        wanted = FileSet(label=name, files=missing)
        with _progress(wanted) as on_bytes:
            async with brought(wanted, Bringing(fetcher=fetcher, folder=folder), on_bytes) as staging:
                copies = [await _copy(folder, staging, file) for file in files]
                # Whatever is wrong with the model is said while its files are still where the next pull finds them.
                addition = await _described(copies, name, request, found)
                for copy in copies:
                    if copy.path.is_relative_to(staging):
                        adopt_weights(folder, copy.path, copy.sha256)
                return addition


async def _bring_speech(
    settings: Settings,
    request: PullRequest,
    fetcher: Fetcher,
    repository: Repository,
    files: tuple[RemoteFile, ...],
) -> AddSpeechModel:
    """Bring a model that hears in, converted where it must be."""
    if request.template is not None or request.context_length is not None:
        raise CommandFailed("a model that hears has neither --template nor --context")
    name = _name(request, PurePosixPath(repository.name).name)
    folder = DataFolder(settings.data)
    refuse_taken_name(Catalog(catalog_files(folder).read()), name)
    source = f"hf://{repository.name}@{repository.commit}"
    wanted = FileSet(label=name, files=files)
    _announce(source, wanted.size, repository.licence)
    origin = SpeechOrigin(name=name, source=source, licence=repository.licence)
    with _progress(wanted) as on_bytes:
        async with brought(wanted, Bringing(fetcher=fetcher, folder=folder), on_bytes) as staging:
            return await bring_speech_folder(settings, staging, origin, lambda _done, _size: None)


def _announce(source: str, size: int, licence: str) -> None:
    click.echo(f"{source}: {shown_size(size)}, {f'licence {licence}' if licence else 'no licence stated'}", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """A file that is here, and its hash."""

    path: Path
    sha256: str


def _here(folder: DataFolder, file: RemoteFile) -> Path | None:
    """Where a file that its hub pins by SHA-256 stands already."""
    digest = file.digest
    if digest is None or digest.kind is not DigestKind.SHA256:
        return None
    path = folder.models_path / f"{digest.value}.gguf"
    return path if path.exists() else None


def _at(folder: DataFolder, file: RemoteFile) -> _Copy:
    path = _here(folder, file)
    if path is None:
        raise CommandFailed(f"{file.path} was removed meanwhile; the same command brings it in again")
    return _Copy(path=path, sha256=path.stem)


async def _copy(folder: DataFolder, staging: Path, file: RemoteFile) -> _Copy:
    """The file where it was brought to, or where it stood before."""
    path = staging / file.path
    if not path.exists():
        return _at(folder, file)
    digest = file.digest
    is_hashed = digest is not None and digest.kind is DigestKind.SHA256
    sha256 = digest.value if digest is not None and is_hashed else await asyncio.to_thread(hash_file, path)
    return _Copy(path=path, sha256=sha256)


async def _find_file(hub: Hub, reference: UrlReference, request: PullRequest) -> _Find:
    file = await hub.file_at(reference, request.sha256)
    if file.digest is None:
        click.echo("Nothing says what this file should hash to; --sha256 would have it checked.", err=True)
    return _Find(file=file, source=_without_secrets(reference.url), licence="")


def _find_offer(repository: Repository, reference: HubReference, request: PullRequest) -> _Find:
    offer = _choose(repository, reference, request)
    file = offer.files[0]
    source = f"hf://{repository.name}@{repository.commit}/{file.path}"
    projector = None if request.is_text_only else projector_of(repository)
    if projector is not None:
        click.echo(f"with {projector.path} ({shown_size(projector.size)}), so that it takes images", err=True)
    return _Find(file=file, projector=projector, source=source, licence=repository.licence)


def _choose(repository: Repository, reference: HubReference, request: PullRequest) -> Offer:
    memory = available_memory()
    if reference.choice is not None:
        return find_offer(repository, reference.choice)
    preset = default_offer(repository, memory)
    available = [offer for offer in offers(repository) if not offer.is_split]
    if request.takes_default or len(available) == 1 or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return preset
    for offer in available:
        does_fit = memory is None or offer.size + MEMORY_BESIDE_WEIGHTS_BYTES <= memory
        room = "" if does_fit else "  more than the memory available now"
        click.echo(f"  {offer.quantisation:12} {shown_size(offer.size):>10}{room}", err=True)
    names = [offer.quantisation for offer in available]
    chosen = click.prompt(
        "Which one",
        default=preset.quantisation,
        type=click.Choice(names, case_sensitive=False),
        show_choices=False,
        err=True,
    )
    return find_offer(repository, chosen)


def _name(request: PullRequest, usual: str) -> str:
    listed = request.text if request.text in recommended_models() else None
    name = request.name or listed or usual
    if not is_valid_name(name) or len(name) > 100:
        raise CommandFailed(f"a model cannot be called {name!r}; choose letters, digits and _ . : - with --name")
    return name


async def _described(copies: Sequence[_Copy], name: str, request: PullRequest, found: _Find) -> AddModel:
    """What adding the model means; `copies` are its file and perhaps its projector's, which must fit each other."""
    model, *projectors = copies
    wanted = describe_model(
        model.path, read_weights, name=name, template=request.template, context_length=request.context_length
    )
    for projector in projectors:
        await refuse_misfit(model.path, projector.path)
    return AddModel(
        name=wanted.name,
        sha256=model.sha256,
        projector_sha256=projectors[0].sha256 if projectors else None,
        template=wanted.template,
        context_length=wanted.context_length,
        num_parameters=wanted.num_parameters,
        source=found.source,
        licence=found.licence,
    )


@contextmanager
def _progress(files: FileSet) -> Iterator[OnBytes]:
    columns = (TextColumn("Pulling"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("pull", total=files.size)
        yield lambda here: progress.update(task, completed=here)


def _without_secrets(url: str) -> str:
    """A URL without its query, in which a signature may stand."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
