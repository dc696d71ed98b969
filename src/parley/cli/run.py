"""`parley run`: have a model here, have a server, and talk; nothing needs to be set up before."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from parley.api.platform.commands import ShowStatus
from parley.cli.chat import converse
from parley.cli.client import Server, find_server
from parley.cli.failures import in_one_line
from parley.cli.options import folder_option
from parley.cli.own_server import own_server
from parley.cli.pulling import PullRequest, pull, pulled_before
from parley.cli.state import ask_server, is_installed
from parley.core.clock import SystemClock
from parley.core.errors import ModelNotFound
from parley.domain.catalog.service import Catalog
from parley.infra.folder import DataFolder
from parley.infra.settings import Settings, load_settings
from parley.operations.first_start import ensure_owner
from parley.operations.records import catalog_files, open_records


@click.command()
@click.argument("model")
@click.option("--system", help="What the model is told before the conversation.")
@click.option("--yes", is_flag=True, help="Take the usual quantisation without asking.")
@folder_option
def command(model: str, system: str | None, yes: bool, data: Path | None) -> None:
    """Talk to MODEL: one that is here, or whatever `parley pull` takes, which is then pulled.

    A server that runs on the data folder is used; otherwise one is started for the time of the conversation.
    """
    with in_one_line():
        settings = load_settings({"data": data})
        if not is_installed(settings):
            asyncio.run(_install(settings))
        name = _name_here(settings, model) or pull(settings, PullRequest(text=model, takes_default=yes))
        with _server(settings) as server:
            converse(server, name, system)


def _name_here(settings: Settings, model: str) -> str | None:
    """The name that the model answers to, if it is here."""
    catalog = Catalog(catalog_files(DataFolder(settings.data)).read())
    try:
        if catalog.resolve(model).weights is not None:
            return model
    except ModelNotFound:
        pass
    return pulled_before(catalog, model, endpoint=settings.hub_endpoint)


@contextmanager
def _server(settings: Settings) -> Iterator[Server]:
    status = ask_server(settings, ShowStatus())
    if status is not None and status.url is not None:
        yield find_server(url=status.url, key=None, data=settings.data)
        return
    console = Console(stderr=True, highlight=False)
    with console.status("starting a server for this conversation ...") as shown, own_server(settings.data) as url:
        shown.stop()
        yield find_server(url=url, key=None, data=settings.data)


async def _install(settings: Settings) -> None:
    """What a first start of the server would make; the owner's key is in its file."""
    bootstrap_key = settings.bootstrap_key
    async with open_records(settings, SystemClock()) as records:
        await ensure_owner(records, None if bootstrap_key is None else bootstrap_key.get_secret_value())
    click.echo(f"A new installation is in {settings.data}.", err=True)
