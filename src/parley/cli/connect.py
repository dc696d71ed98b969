"""`parley models connect`: add a model that an OpenAI-compatible server has."""

import shlex
from pathlib import Path
from typing import TypedDict, Unpack

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from parley.api.platform.commands import AddUpstream
from parley.cli.failures import CommandFailed, in_one_line
from parley.cli.options import folder_option
from parley.cli.state import change_state, require_installation
from parley.core.template import TEMPLATE_NAMES
from parley.core.upstream import UpstreamKind
from parley.domain.catalog.entries import UpstreamEntry
from parley.infra.folder import DataFolder
from parley.infra.settings import load_settings
from parley.operations.add_model import AddModel, describe_model, import_weights
from parley.operations.add_upstream import check_upstream
from parley.operations.weights_header import read_weights


class _Options(TypedDict):
    """The command line's options, named as they are written."""

    name: str
    kind: str
    model: str
    context: int | None
    key_env: str | None
    key_file: Path | None
    command: str | None
    vocabulary: Path | None
    template: str | None
    vision: bool
    is_default: bool
    data: Path | None


@click.command()
@click.argument("url")
@click.option("--name", required=True, help="What to call the model here.")
@click.option(
    "--kind", required=True, type=click.Choice([kind.value for kind in UpstreamKind]), help="Which server it is."
)
@click.option("--model", required=True, help="What the server calls the model.")
@click.option("--context", type=click.IntRange(128), help="Tokens that it serves. [those of the vocabulary's file]")
@click.option("--key-env", help="The environment variable of `parley serve` that holds the server's key.")
@click.option("--key-file", type=click.Path(path_type=Path), help="A file that holds the server's key.")
@click.option("--command", help="The command that starts the server; Parley then keeps it alive.")
@click.option(
    "--vocabulary", type=click.Path(path_type=Path), help="A GGUF file of the model, to tokenise prompts here."
)
@click.option("--template", help="How chats are written for it, with --vocabulary. [told from the file]")
@click.option("--vision", is_flag=True, help="Its model sees: give it the images of chats.")
@click.option("--default", "is_default", is_flag=True, help="Let it answer every stand-in name, too.")
@folder_option
def connect(url: str, **options: Unpack[_Options]) -> None:
    """Add a model that the OpenAI-compatible server at URL has. URL ends in its version: http://127.0.0.1:8001/v1"""
    with in_one_line():
        settings = load_settings({"data": options["data"]})
        require_installation(settings)
        addition = _addition(url, options)
        check_upstream(addition.name, addition.upstream)
        vocabulary = options["vocabulary"]
        if vocabulary is not None:
            folder = DataFolder(settings.data)
            folder.prepare()
            addition = msgspec.structs.replace(addition, vocabulary_sha256=_import(folder, vocabulary))
        reply = change_state(settings, addition)
    also = " and every stand-in name are" if options["is_default"] else " is"
    click.echo(f"{reply.snapshot} was added. `{options['name']}`{also} answered by {addition.upstream.url} now.")


def _addition(url: str, options: _Options) -> AddUpstream:
    entry = UpstreamEntry(
        kind=UpstreamKind(options["kind"]),
        url=url,
        model=options["model"],
        key_env=options["key_env"],
        key_file=None if options["key_file"] is None else str(options["key_file"].expanduser().absolute()),
        command=_words(options["command"]),
        vision=options["vision"],
    )
    if options["vision"] and options["vocabulary"] is not None:
        raise CommandFailed("--vision and --vocabulary exclude each other: images go with chats that the server writes")
    known = _describe(options)
    context = options["context"] or (None if known is None else known.context_length)
    if context is None:
        raise CommandFailed("say with --context how many tokens the server serves")
    return AddUpstream(
        name=options["name"],
        upstream=entry,
        context_length=context,
        is_default=options["is_default"],
        template=None if known is None else known.template,
    )


def _describe(options: _Options) -> AddModel | None:
    """What the vocabulary's file says of the model."""
    path, template = options["vocabulary"], options["template"]
    if path is None:
        if template is not None:
            raise CommandFailed("--template needs --vocabulary; without it the server writes chats as it does")
        return None
    if template is not None and template not in TEMPLATE_NAMES:
        raise CommandFailed(f"there is no template {template!r}; there are {', '.join(sorted(TEMPLATE_NAMES))}")
    return describe_model(
        path, read_weights, name=options["name"], template=template, context_length=options["context"]
    )


def _words(command: str | None) -> list[str]:
    try:
        return shlex.split(command or "")
    except ValueError as error:
        raise CommandFailed(f"--command: {error}") from None


def _import(folder: DataFolder, path: Path) -> str:
    columns = (TextColumn("Copying and hashing"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("copy")
        return import_weights(folder, path, lambda done, size: progress.update(task, completed=done, total=size))
