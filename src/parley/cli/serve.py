"""`parley serve`: run the server, show what it does while it starts, then where it is."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from parley.api.listener import AddressUnusable
from parley.app import Started, serve
from parley.cli.failures import CommandFailed, in_one_line
from parley.core.errors import ModelLoadFailed
from parley.core.snapshot import Weights
from parley.infra.logs import configure_logging
from parley.infra.settings import FlagRefused, default_data_folder, load_settings, unknown_variables
from parley.infra.settings_table import describe_settings


def _with_settings(command: click.Command) -> click.Command:
    """Give the command a flag for each setting, so that none can be forgotten."""
    for setting in describe_settings():
        default = f" Default {setting.default}." if setting.default else ""
        shown = f"{setting.description}{default} [{setting.variable}]"
        command.params.append(click.Option([setting.flag], help=shown, metavar="VALUE"))
    return command


@click.command()
@click.option("--config", help="The TOML file with settings. [PARLEY_CONFIG, or parley.toml in the data folder]")
def command(**flags: Any) -> None:  # noqa: ANN401 - one per setting, checked by load_settings
    """Run the server until Ctrl-C. A flag beats a variable, a variable the TOML file."""
    console = Console(stderr=True, highlight=False)
    for line in unknown_variables():
        console.print(f"[yellow]warning:[/yellow] {escape(line)}")
    with in_one_line():
        try:
            settings = load_settings(flags)
        except FlagRefused as error:
            raise click.UsageError(str(error)) from None
        secrets = [settings.bootstrap_key.get_secret_value()] if settings.bootstrap_key else []
        configure_logging(level=settings.log_level, style=settings.log_format, secrets=secrets)
        progress = StartProgress(console)
        try:
            # A tenth less of processor time for a small request than on asyncio's own loop (docs/decisions/0022-loop.md).
            uvloop.run(serve(settings, on_step=progress.step, on_ready=progress.ready))
        except AddressUnusable as error:
            raise CommandFailed(str(error)) from None
        except ModelLoadFailed as error:
            raise CommandFailed(f"the model cannot be loaded: {' '.join(error.detail.split())}") from None
        finally:
            progress.stop()


command = _with_settings(command)


class StartProgress:
    """Shows a start on the terminal: a spinner while it lasts (plain lines where there is no terminal), then a banner."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def step(self, description: str) -> None:
        """Show what is being waited for; what was shown before is done."""
        if not self._console.is_terminal:
            self._console.print(escape(f"{description} ..."))
        elif self._status is None:
            self._status = self._console.status(escape(f"{description} ..."))
            self._status.start()
        else:
            self._status.update(escape(f"{description} ..."))

    def stop(self) -> None:
        """Take the spinner away; harmless at any time."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def ready(self, started: Started) -> None:
        """Show the banner: the server answers."""
        self.stop()
        # To stdout, as the command's result; what is on stderr are steps and logs.
        click.echo("\n" + banner(started))


def banner(started: Started) -> str:
    """Where the server is, the key, what answers, and a line to try it with."""
    if started.owner_key is not None:
        key = f"{started.owner_key}   (shown once; kept in {started.owner_key_path})"
    else:
        key = f"in {started.owner_key_path}"
    # The line to paste reads the key from its file, so that the key does not land in the shell's history.
    authorization = f"$(cat '{started.owner_key_path}')"
    return (
        f"Parley answers at {started.url}/v1\n"
        f"  key    {key}\n"
        f"  model  {describe_weights(started.weights)}\n\n"
        f"  curl {started.url}/v1/chat/completions \\\n"
        f'    -H "Authorization: Bearer {authorization}" -H "Content-Type: application/json" \\\n'
        """    -d '{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Say this is a test"}]}'\n\n"""
        f"  {_chat_command(started.owner_key_path.parent)}   in another terminal.   Ctrl-C stops the server.\n"
    )


def _chat_command(data: Path) -> str:
    """`parley chat` as another terminal finds it, whose PATH may not have it, on this server's data folder."""
    script = Path(sys.executable).with_name("parley")
    relative = f"{os.path.relpath(script.parent)}/{script.name}"
    shown = [min(str(script), relative, key=len)] if script.exists() else [sys.executable, "-m", "parley.cli.main"]
    folder = [] if data == default_data_folder() else ["--data", str(data)]
    return shlex.join([*shown, "chat", *folder])


def describe_weights(weights: Weights) -> str:
    """What answers, said honestly: its name, its size, and what it is."""
    size = ""
    if weights.num_parameters is not None:
        size = f", {weights.num_parameters / 1e6:,.1f} million parameters"
    return f"{weights.name}{size}" + (f". {weights.description}" if weights.description else "")
