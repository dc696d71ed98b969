"""`parley keys`: list, create and revoke API keys."""

from datetime import UTC, datetime
from pathlib import Path

import click

from parley.api.platform.commands import CreateKey, KeyLine, ListKeys, RevokeKey
from parley.cli.failures import in_one_line
from parley.cli.options import folder_option
from parley.cli.state import change_state, require_folder
from parley.cli.tables import print_table
from parley.core.principal import Scope
from parley.infra.settings import load_settings


@click.group()
def command() -> None:
    """List, create and revoke API keys."""


@command.command("list")
@folder_option
def list_keys(data: Path | None) -> None:
    """Show every key; of the key itself only the last four characters are kept."""
    with in_one_line():
        settings = load_settings({"data": data})
        require_folder(settings)
        reply = change_state(settings, ListKeys())
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
        require_folder(settings)
        reply = change_state(settings, RevokeKey(key_id=key_id))
    click.echo(f"{reply.keys[0].id} ({reply.keys[0].name}) no longer counts.")


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
