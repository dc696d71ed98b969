"""`parley orgs`: the organizations of this installation."""

from pathlib import Path

import click

from parley.api.platform.account_commands import ChangeOrganization, CreateOrganization, ListOrganizations
from parley.cli.failures import in_one_line
from parley.cli.options import folder_option
from parley.cli.state import change_state
from parley.cli.tables import print_lines
from parley.domain.accounts.model import OrganizationStatus
from parley.infra.settings import load_settings


@click.group()
def command() -> None:
    """List, create, approve and suspend organizations."""


@command.command("list")
@folder_option
def list_organizations(data: Path | None) -> None:
    """Show every organization."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), ListOrganizations())
    print_lines(("ID", "NAME", "STATUS", "TIER", "CREATED"), reply.lines)


@command.command()
@click.argument("name")
@folder_option
def create(name: str, data: Path | None) -> None:
    """Make an organization called NAME and print its id; `parley users invite` brings people into it."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), CreateOrganization(name=name))
    click.echo(reply.lines[0]["ID"])


@command.command()
@click.argument("organization_id")
@folder_option
def approve(organization_id: str, data: Path | None) -> None:
    """Let a pending or suspended organization work."""
    _set_status(organization_id, OrganizationStatus.ACTIVE, data)


@command.command()
@click.argument("organization_id")
@folder_option
def suspend(organization_id: str, data: Path | None) -> None:
    """Stop an organization: its keys no longer count, at once, until it is approved again."""
    _set_status(organization_id, OrganizationStatus.SUSPENDED, data)


@command.command()
@click.argument("organization_id")
@click.argument("tier")
@folder_option
def tier(organization_id: str, tier: str, data: Path | None) -> None:
    """Put an organization into TIER, whose limits are its limits."""
    with in_one_line():
        change = ChangeOrganization(organization_id=organization_id, tier=tier)
        reply = change_state(load_settings({"data": data}), change)
    click.echo(f"{reply.lines[0]['ID']} is in tier {reply.lines[0]['TIER']}.")


def _set_status(organization_id: str, status: OrganizationStatus, data: Path | None) -> None:
    with in_one_line():
        change = ChangeOrganization(organization_id=organization_id, status=status)
        reply = change_state(load_settings({"data": data}), change)
    click.echo(f"{reply.lines[0]['ID']} ({reply.lines[0]['NAME']}) is {reply.lines[0]['STATUS']}.")
