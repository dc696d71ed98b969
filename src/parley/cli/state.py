"""Commands that change state: by the running server's control socket, or directly where none runs."""

import asyncio
from pathlib import Path

from parley.api.platform.commands import Command, Reply, StateCommand, perform
from parley.api.platform.control import ask
from parley.cli.failures import CommandFailed, NoServer
from parley.core.clock import SystemClock
from parley.infra.folder import DataFolder
from parley.infra.settings import Settings
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records


def change_state(settings: Settings, command: StateCommand) -> Reply:
    """Have a command done by whoever may: one process writes, and it is the server when one runs. Raises CommandFailed."""
    require_installation(settings)
    reply = ask_server(settings, command)
    if reply is None:
        reply = asyncio.run(_directly(settings, command))
    if reply.error is not None:
        raise CommandFailed(reply.error)
    return reply


def ask_server(settings: Settings, command: Command) -> Reply | None:
    """What the server on the data folder answers; None where none runs. Raises CommandFailed."""
    try:
        return ask(DataFolder(settings.data).control_path, command)
    except PermissionError:
        raise CommandFailed(f"{settings.data} belongs to another user") from None
    except OSError as error:
        raise NoServer(f"the running server did not answer: {error}") from None


def require_installation(settings: Settings) -> None:
    """Refuse a folder that no server has started on: a mistyped one is not to be made, nor a key that no server knows."""
    if not is_installed(settings):
        raise CommandFailed(
            f"no installation in {settings.data}; start `parley serve` once, or name the folder with --data or PARLEY_DATA"
        )


def is_installed(settings: Settings) -> bool:
    """Whether a server has started on the data folder, or a command has prepared it. Raises CommandFailed."""
    data = settings.data
    try:
        # The pepper alone is an installation on PostgreSQL whose owner's key is kept elsewhere, or one that lost its database;
        # opening it says how to mend that.
        place, folder = settings.database_place, DataFolder(data)
        marks = [folder.pepper_path, folder.owner_key_path, *([place] if isinstance(place, Path) else [])]
        return data.is_dir() and any(mark.exists() for mark in marks)
    except OSError as error:
        raise CommandFailed(f"{data} cannot be read: {error.strerror}") from None


async def _directly(settings: Settings, command: StateCommand) -> Reply:
    bootstrap_key = settings.bootstrap_key
    async with open_records(settings, SystemClock()) as records:
        # A first start that was cut off may have left the folder without its owner.
        await ensure_owner(records, None if bootstrap_key is None else bootstrap_key.get_secret_value())
        # No engine runs in this process.
        return await perform(records, command, lambda _: False)
