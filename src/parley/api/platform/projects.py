"""`/v1/organization/projects`: projects and their members."""

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import json_reply
from parley.api.platform import shapes
from parley.api.platform.listing import flag, page_reply, page_request
from parley.api.platform.schemas import replies, requests
from parley.core.errors import InvalidRequest
from parley.operations import projects

_CREATE = JsonBody(requests.CreateProjectRequest)
_UPDATE = JsonBody(requests.UpdateProjectRequest)
_ADD_USER = JsonBody(requests.AddProjectUserRequest)
_UPDATE_USER = JsonBody(requests.UpdateUserRequest)


async def list_projects(call: Call) -> ASGIApp:
    """The organization's projects."""
    page = await projects.list_projects(
        call.records,
        call.actor(),
        page_request(call.http),
        includes_archived=flag(call.http, "include_archived"),
    )
    return page_reply(page, shapes.project, lambda project: project.id)


async def create_project(call: Call) -> ASGIApp:
    """Make a project."""
    body = await _CREATE.read(call.http)
    return json_reply(shapes.project(await projects.create_project(call.records, call.actor(), body.name)))


async def retrieve_project(call: Call) -> ASGIApp:
    """One project."""
    return json_reply(shapes.project(await projects.find_project(call.records, call.actor(), _project_id(call))))


async def modify_project(call: Call) -> ASGIApp:
    """Rename a project."""
    body = await _UPDATE.read(call.http)
    renamed = await projects.rename_project(call.records, call.actor(), _project_id(call), body.name)
    return json_reply(shapes.project(renamed))


async def archive_project(call: Call) -> ASGIApp:
    """End a project for good; its keys no longer count."""
    return json_reply(shapes.project(await projects.archive_project(call.records, call.actor(), _project_id(call))))


async def list_project_users(call: Call) -> ASGIApp:
    """The members of a project."""
    page = await projects.list_members(call.records, call.actor(), _project_id(call), page_request(call.http))
    return page_reply(page, shapes.project_user, lambda user: user.id)


async def create_project_user(call: Call) -> ASGIApp:
    """Put a member of the organization into a project."""
    body = await _ADD_USER.read(call.http)
    if (body.user_id is None) == (body.email is None):
        raise InvalidRequest("You must provide either 'user_id' or 'email'.", param="user_id")
    added = await projects.add_member(
        call.records,
        call.actor(),
        _project_id(call),
        user_id=body.user_id,
        email=body.email,
        role=shapes.to_role(body.role),
    )
    return json_reply(shapes.project_user(added))


async def retrieve_project_user(call: Call) -> ASGIApp:
    """One member of a project."""
    found = await projects.find_member(call.records, call.actor(), _project_id(call), call.path_params["user_id"])
    return json_reply(shapes.project_user(found))


async def modify_project_user(call: Call) -> ASGIApp:
    """Give a member another role in a project."""
    body = await _UPDATE_USER.read(call.http)
    changed = await projects.change_member(
        call.records, call.actor(), _project_id(call), call.path_params["user_id"], shapes.to_role(body.role)
    )
    return json_reply(shapes.project_user(changed))


async def delete_project_user(call: Call) -> ASGIApp:
    """Take a member out of a project."""
    user_id = call.path_params["user_id"]
    await projects.remove_member(call.records, call.actor(), _project_id(call), user_id)
    return json_reply(replies.Deleted(object="organization.project.user.deleted", id=user_id))


def _project_id(call: Call) -> str:
    return call.path_params["project_id"]
