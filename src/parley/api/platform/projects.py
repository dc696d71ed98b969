"""`/v1/organization/projects`: projects, their members and their service accounts."""

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import SHOWN_ONCE, json_reply
from parley.api.platform import shapes
from parley.api.platform.listing import flag, page_reply, page_request
from parley.api.platform.schemas import replies, requests
from parley.operations import projects

_CREATE = JsonBody(requests.CreateProjectRequest)
_UPDATE = JsonBody(requests.UpdateProjectRequest)
_ADD_USER = JsonBody(requests.AddProjectUserRequest)
_UPDATE_USER = JsonBody(requests.UpdateUserRequest)
_CREATE_ACCOUNT = JsonBody(requests.CreateServiceAccountRequest)


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
    added = await projects.add_member(
        call.records, call.actor(), _project_id(call), body.user_id, shapes.to_role(body.role)
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


async def list_service_accounts(call: Call) -> ASGIApp:
    """The service accounts of a project."""
    page = await projects.list_service_accounts(call.records, call.actor(), _project_id(call), page_request(call.http))
    return page_reply(page, shapes.service_account, lambda account: account.id)


async def create_service_account(call: Call) -> ASGIApp:
    """Make a service account, with a key that is shown this once."""
    body = await _CREATE_ACCOUNT.read(call.http)
    account, issued = await projects.create_service_account(call.records, call.actor(), _project_id(call), body.name)
    reply = shapes.service_account(account)
    reply.api_key = replies.ServiceAccountKey(
        id=issued.key.id, name=issued.key.name, created_at=int(issued.key.created_at), value=issued.secret
    )
    return json_reply(reply, SHOWN_ONCE)


async def retrieve_service_account(call: Call) -> ASGIApp:
    """One service account."""
    found = await projects.find_service_account(
        call.records, call.actor(), _project_id(call), call.path_params["service_account_id"]
    )
    return json_reply(shapes.service_account(found))


async def delete_service_account(call: Call) -> ASGIApp:
    """Forget a service account; its keys no longer count."""
    account_id = call.path_params["service_account_id"]
    await projects.delete_service_account(call.records, call.actor(), _project_id(call), account_id)
    return json_reply(replies.Deleted(object="organization.project.service_account.deleted", id=account_id))


def _project_id(call: Call) -> str:
    return call.path_params["project_id"]
