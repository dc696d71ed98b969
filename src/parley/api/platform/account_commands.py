"""The control socket's commands on organizations, projects and members."""

from dataclasses import dataclass, field

import msgspec

from parley.api.platform.shapes import to_role
from parley.core.durations import day
from parley.core.errors import InvalidRequest
from parley.core.pages import PageRequest
from parley.domain.accounts.model import Organization, OrganizationStatus, Project
from parley.domain.accounts.people import InviteRequest, Member, Role
from parley.operations import members, organizations, projects
from parley.operations.command_line import operator
from parley.operations.organizations import OrganizationChange
from parley.operations.records import Records

# A terminal shows no more; the API has pages.
_ALL = PageRequest(limit=10_000)


class ListOrganizations(msgspec.Struct, tag="orgs.list", forbid_unknown_fields=True, kw_only=True):
    """Every organization."""


class CreateOrganization(msgspec.Struct, tag="orgs.create", forbid_unknown_fields=True, kw_only=True):
    """A new organization with its first project."""

    name: str


class ChangeOrganization(msgspec.Struct, tag="orgs.change", forbid_unknown_fields=True, kw_only=True):
    """Approve, suspend, rename or put into another tier; None: as it is."""

    organization_id: str
    name: str | None = None
    status: OrganizationStatus | None = None
    tier: str | None = None


class ListProjects(msgspec.Struct, tag="projects.list", forbid_unknown_fields=True, kw_only=True):
    """The projects of an organization; None: of the first."""

    organization_id: str | None = None


class CreateProject(msgspec.Struct, tag="projects.create", forbid_unknown_fields=True, kw_only=True):
    """A new project."""

    name: str
    organization_id: str | None = None


class ArchiveProject(msgspec.Struct, tag="projects.archive", forbid_unknown_fields=True, kw_only=True):
    """End a project."""

    project_id: str
    organization_id: str | None = None


class ListUsers(msgspec.Struct, tag="users.list", forbid_unknown_fields=True, kw_only=True):
    """The members of an organization; None: of the first."""

    organization_id: str | None = None


class InviteUser(msgspec.Struct, tag="users.invite", forbid_unknown_fields=True, kw_only=True):
    """Invite somebody; `public_url` is where they will find the server."""

    email: str
    role: str
    public_url: str
    organization_id: str | None = None


class ChangeUser(msgspec.Struct, tag="users.change", forbid_unknown_fields=True, kw_only=True):
    """Give a member another role."""

    user_id: str
    role: str
    organization_id: str | None = None


class RemoveUser(msgspec.Struct, tag="users.remove", forbid_unknown_fields=True, kw_only=True):
    """Take a member out."""

    user_id: str
    organization_id: str | None = None


AccountCommand = (
    ListOrganizations
    | CreateOrganization
    | ChangeOrganization
    | ListProjects
    | CreateProject
    | ArchiveProject
    | ListUsers
    | InviteUser
    | ChangeUser
    | RemoveUser
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command found or made, one line each, by column; `secret` is shown once."""

    lines: list[dict[str, str]] = field(default_factory=list)
    secret: str | None = None


async def perform_on_accounts(records: Records, command: AccountCommand) -> Done:
    """Run the operation behind a command. Raises ParleyError for a refusal."""
    match command:
        case ListOrganizations() | CreateOrganization() | ChangeOrganization():
            return await _on_organizations(records, command)
        case ListProjects() | CreateProject() | ArchiveProject():
            return await _on_projects(records, command)
        case ListUsers() | InviteUser() | ChangeUser() | RemoveUser():
            return await _on_users(records, command)


async def _on_organizations(
    records: Records, command: ListOrganizations | CreateOrganization | ChangeOrganization
) -> Done:
    actor = await operator(records)
    match command:
        case ListOrganizations():
            found = (await organizations.list_organizations(records, actor, _ALL)).items
        case CreateOrganization():
            found = [await organizations.create_organization(records, actor, command.name)]
        case ChangeOrganization():
            change = OrganizationChange(name=command.name, status=command.status, tier=command.tier)
            found = [await organizations.change_organization(records, actor, command.organization_id, change)]
    return Done(lines=[_organization(organization) for organization in found])


async def _on_projects(records: Records, command: ListProjects | CreateProject | ArchiveProject) -> Done:
    actor = await operator(records, command.organization_id)
    match command:
        case ListProjects():
            found = (await projects.list_projects(records, actor, _ALL, includes_archived=True)).items
        case CreateProject():
            found = [await projects.create_project(records, actor, command.name)]
        case ArchiveProject():
            found = [await projects.archive_project(records, actor, command.project_id)]
    return Done(lines=[_project(project) for project in found])


async def _on_users(records: Records, command: ListUsers | InviteUser | ChangeUser | RemoveUser) -> Done:
    actor = await operator(records, command.organization_id)
    match command:
        case ListUsers():
            found = (await members.list_members(records, actor, _ALL)).items
            return Done(lines=[_member(member) for member in found])
        case InviteUser():
            request = InviteRequest(email=command.email, role=_role(command.role), projects={})
            invite, token = await members.invite(records, actor, request, public_url=command.public_url)
            return Done(lines=[{"ID": invite.id, "EMAIL": invite.email, "ROLE": invite.role.value}], secret=token)
        case ChangeUser():
            changed = await members.change_role(records, actor, command.user_id, _role(command.role))
            return Done(lines=[_member(changed)])
        case RemoveUser():
            await members.remove_member(records, actor, command.user_id)
            return Done()


def _role(name: str) -> Role:
    try:
        return to_role(name)
    except ValueError:
        raise InvalidRequest("A role is owner, admin, developer or viewer.", param="role") from None


def _organization(organization: Organization) -> dict[str, str]:
    return {
        "ID": organization.id,
        "NAME": organization.name,
        "STATUS": organization.status.value,
        "TIER": organization.tier,
        "CREATED": day(organization.created_at),
    }


def _project(project: Project) -> dict[str, str]:
    return {
        "ID": project.id,
        "NAME": project.name,
        "CREATED": day(project.created_at),
        "ARCHIVED": "" if project.archived_at is None else day(project.archived_at),
    }


def _member(member: Member) -> dict[str, str]:
    return {
        "ID": member.user.id,
        "EMAIL": member.user.email,
        "NAME": member.user.name,
        "ROLE": member.role.value,
        "ADDED": day(member.added_at),
    }
