"""`parley keys`: list, create and revoke API keys."""

from datetime import UTC, datetime
from pathlib import Path

import click

from parley.api.platform.commands import CreateKey, KeyLine, ListKeys, RevokeKey
from parley.cli.failures import CommandFailed, in_one_line
from parley.cli.options import folder_option
from parley.cli.state import change_state
from parley.cli.tables import print_table
from parley.core.principal import Scope
from parley.infra.folder import DataFolder
from parley.infra.settings import load_settings


@click.group()
def command() -> None:
    """List, create and revoke API keys."""


@command.command("list")
@folder_option
def list_keys(data: Path | None) -> None:
    """Show every key; of the key itself only the last four characters are kept."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), ListKeys())
    print_table(("ID", "NAME", "KEY", "SCOPES", "MODELS", "CREATED", "REVOKED"), [_row(key) for key in reply.keys])


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["model.request", "read", "admin", "all"]),
    help="What the key may do; give it again for more. [model.request and read]",
)
@click.option("--model", "models", multiple=True, help="A model that the key may use; give it again for more. [all]")
@folder_option
def create(name: str, scopes: tuple[str, ...], models: tuple[str, ...], data: Path | None) -> None:
    """Make a key called NAME and print it. It is shown this once and kept nowhere."""
    wanted = CreateKey(name=name, models=models or None)
    if scopes:
        wanted.scopes = tuple(Scope(scope) for scope in scopes)
    with in_one_line():
        reply = change_state(load_settings({"data": data}), wanted)
    # The key alone goes to stdout, so that a script can take it.
    click.echo(f"{reply.keys[0].id} may be used now. This is the only time that its key is shown:", err=True)
    click.echo(reply.secret)


@command.command()
@click.argument("key_id")
@folder_option
def revoke(key_id: str, data: Path | None) -> None:
    """Let the key KEY_ID (of `parley keys list`) no longer count, at once."""
    with in_one_line():
        settings = load_settings({"data": data})
        if key_id not in {key.id for key in change_state(settings, ListKeys()).keys}:
            raise CommandFailed(f"no such key: {key_id}; `parley keys list` shows the ids")
        revoked = change_state(settings, RevokeKey(key_id=key_id)).keys[0]
    click.echo(f"{revoked.id} ({revoked.name}) no longer counts.")
    path = DataFolder(settings.data).owner_key_path
    if _is_key_in(path, revoked):
        click.echo(
            f"That was the key in {path}: the command line has no key now. "
            "Make one with `parley keys create NAME --scope admin --scope all` and put it into that file.",
            err=True,
        )


def _is_key_in(path: Path, key: KeyLine) -> bool:
    """Whether the file holds the key, as far as the last characters tell, which are all that is kept of it."""
    try:
        return path.read_text(encoding="ascii").strip().endswith(key.last_four)
    except (OSError, ValueError):
        return False


def _row(key: KeyLine) -> tuple[str, ...]:
    return (
        key.id,
        key.name,
        f"...{key.last_four}",
        ", ".join(key.scopes),
        "all" if key.models is None else ", ".join(key.models),
        _day(key.created_at),
        "" if key.revoked_at is None else _day(key.revoked_at),
    )


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
