"""`parley projects`: the projects of an organization."""

from pathlib import Path

import click

from parley.api.platform.account_commands import ArchiveProject, CreateProject, ListProjects
from parley.cli.failures import in_one_line
from parley.cli.options import folder_option, organization_option
from parley.cli.state import change_state
from parley.cli.tables import print_lines
from parley.infra.settings import load_settings


@click.group()
def command() -> None:
    """List, create and archive projects."""


@command.command("list")
@organization_option
@folder_option
def list_projects(org: str | None, data: Path | None) -> None:
    """Show the projects, archived ones too."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), ListProjects(organization_id=org))
    print_lines(("ID", "NAME", "CREATED", "ARCHIVED"), reply.lines)


@command.command()
@click.argument("name")
@organization_option
@folder_option
def create(name: str, org: str | None, data: Path | None) -> None:
    """Make a project called NAME and print its id."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), CreateProject(name=name, organization_id=org))
    click.echo(reply.lines[0]["ID"])


@command.command()
@click.argument("project_id")
@organization_option
@folder_option
def archive(project_id: str, org: str | None, data: Path | None) -> None:
    """End a project for good; its keys no longer count, at once."""
    with in_one_line():
        wanted = ArchiveProject(project_id=project_id, organization_id=org)
        reply = change_state(load_settings({"data": data}), wanted)
    click.echo(f"{reply.lines[0]['ID']} ({reply.lines[0]['NAME']}) is archived.")
