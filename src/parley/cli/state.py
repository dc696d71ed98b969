"""Commands that change state: by the running server's control socket, or directly where none runs."""

import asyncio
from pathlib import Path

from parley.api.platform.commands import AddModel, CreateKey, ListKeys, Reply, RevokeKey, perform
from parley.api.platform.control import ask
from parley.cli.failures import CommandFailed, NoServer
from parley.core.clock import SystemClock
from parley.infra.folder import DataFolder
from parley.infra.settings import Settings
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records


def change_state(settings: Settings, command: CreateKey | RevokeKey | ListKeys | AddModel) -> Reply:
    """Have a command done by whoever may: one process writes, and it is the server when one runs. Raises CommandFailed."""
    try:
        reply = ask(DataFolder(settings.data).control_path, command)
    except OSError as error:
        raise NoServer(f"the running server did not answer: {error}") from None
    if reply is None:
        reply = asyncio.run(_directly(settings, command))
    if reply.error is not None:
        raise CommandFailed(reply.error)
    return reply


def require_folder(settings: Settings) -> Path:
    """The data folder, which must be there already: a mistyped one is not to be made by a look at it."""
    if not settings.data.is_dir():
        raise CommandFailed(f"{settings.data} does not exist; start `parley serve` once, or name it with PARLEY_DATA")
    return settings.data


async def _directly(settings: Settings, command: CreateKey | RevokeKey | ListKeys | AddModel) -> Reply:
    bootstrap_key = settings.bootstrap_key
    async with open_records(settings, SystemClock()) as records:
        # Whatever the first command is, it must not leave a folder without its owner.
        await ensure_owner(records, None if bootstrap_key is None else bootstrap_key.get_secret_value())
        return await perform(records, command)
