"""`parley users`: the members of an organization."""

from pathlib import Path

import click

from parley.api.platform.account_commands import ChangeUser, InviteUser, ListUsers, RemoveUser
from parley.api.platform.commands import ShowStatus
from parley.api.platform.control import ask
from parley.cli.failures import in_one_line
from parley.cli.options import folder_option, organization_option
from parley.cli.state import change_state
from parley.cli.tables import print_lines
from parley.infra.folder import DataFolder
from parley.infra.settings import Settings, load_settings, server_url

_ROLES = ("owner", "admin", "developer", "viewer")


@click.group()
def command() -> None:
    """List, invite, change and remove members."""


@command.command("list")
@organization_option
@folder_option
def list_users(org: str | None, data: Path | None) -> None:
    """Show the members."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), ListUsers(organization_id=org))
    if not reply.lines:
        # The owner's key, and keys made here, belong to no person.
        click.echo("Nobody is a member yet; `parley users invite EMAIL --role owner` brings the first one in.")
        return
    print_lines(("ID", "EMAIL", "NAME", "ROLE", "ADDED"), reply.lines)


@command.command()
@click.argument("email")
@click.option("--role", type=click.Choice(_ROLES), default="developer", show_default=True, help="What they may do.")
@organization_option
@folder_option
def invite(email: str, role: str, org: str | None, data: Path | None) -> None:
    """Mail EMAIL a link that makes its reader a member, and print it."""
    with in_one_line():
        settings = load_settings({"data": data})
        url = _public_url(settings)
        wanted = InviteUser(email=email, role=role, public_url=url, organization_id=org)
        reply = change_state(settings, wanted)
    click.echo(
        f"{reply.lines[0]['EMAIL']} is invited as {reply.lines[0]['ROLE']}. The link counts for 7 days:", err=True
    )
    click.echo(f"{url}/invite#{reply.secret}")


@command.command()
@click.argument("user_id")
@click.argument("role", type=click.Choice(_ROLES))
@organization_option
@folder_option
def role(user_id: str, role: str, org: str | None, data: Path | None) -> None:
    """Give the member USER_ID the ROLE."""
    with in_one_line():
        wanted = ChangeUser(user_id=user_id, role=role, organization_id=org)
        reply = change_state(load_settings({"data": data}), wanted)
    click.echo(f"{reply.lines[0]['EMAIL']} is {reply.lines[0]['ROLE']}.")


@command.command()
@click.argument("user_id")
@organization_option
@folder_option
def remove(user_id: str, org: str | None, data: Path | None) -> None:
    """Take the member USER_ID out; their keys no longer count, at once."""
    with in_one_line():
        change_state(load_settings({"data": data}), RemoveUser(user_id=user_id, organization_id=org))
    click.echo(f"{user_id} is no member any more.")


def _public_url(settings: Settings) -> str:
    """Where people find the server: as the running one says, which has settings of its own; else by ours."""
    try:
        status = ask(DataFolder(settings.data).control_path, ShowStatus())
    except OSError:
        status = None
    if status is not None and status.public_url is not None:
        return status.public_url
    return settings.public_url or server_url(settings.host, settings.port)
