"""`/v1/organization/users` and `/v1/organization/invites`: who belongs to the organization, and who is asked to."""

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import json_reply
from parley.api.platform import shapes
from parley.api.platform.listing import page_reply, page_request, texts
from parley.api.platform.schemas import replies, requests
from parley.domain.accounts.people import InviteRequest
from parley.operations import members

_UPDATE = JsonBody(requests.UpdateUserRequest)
_INVITE = JsonBody(requests.CreateInviteRequest)


async def list_users(call: Call) -> ASGIApp:
    """The members of the organization; with `emails` those of these addresses."""
    emails = texts(call.http, "emails")
    page = await members.list_members(call.records, call.actor(), page_request(call.http), emails=emails or None)
    return page_reply(page, shapes.user, lambda user: user.id)


async def retrieve_user(call: Call) -> ASGIApp:
    """One member."""
    return json_reply(shapes.user(await members.find_member(call.records, call.actor(), call.path_params["user_id"])))


async def modify_user(call: Call) -> ASGIApp:
    """Give a member another role."""
    body = await _UPDATE.read(call.http)
    changed = await members.change_role(
        call.records, call.actor(), call.path_params["user_id"], shapes.to_role(body.role)
    )
    return json_reply(shapes.user(changed))


async def delete_user(call: Call) -> ASGIApp:
    """Take a member out of the organization; their keys no longer count."""
    user_id = call.path_params["user_id"]
    await members.remove_member(call.records, call.actor(), user_id)
    return json_reply(replies.Deleted(object="organization.user.deleted", id=user_id))


async def list_invites(call: Call) -> ASGIApp:
    """The organization's invites."""
    page = await members.list_invites(call.records, call.actor(), page_request(call.http))
    now = call.services.clock.now()
    return page_reply(page, lambda invite: shapes.invite(invite, now), lambda invite: invite.id)


async def create_invite(call: Call) -> ASGIApp:
    """Invite somebody by mail."""
    body = await _INVITE.read(call.http)
    request = InviteRequest(
        email=body.email,
        role=shapes.to_role(body.role),
        projects={project.id: shapes.to_role(project.role) for project in body.projects or []},
    )
    invite, _ = await members.invite(
        call.records, call.actor(), request, public_url=call.platform.front_door.rules.public_url
    )
    return json_reply(shapes.invite(invite, call.services.clock.now()))


async def retrieve_invite(call: Call) -> ASGIApp:
    """One invite."""
    invite = await members.find_invite(call.records, call.actor(), call.path_params["invite_id"])
    return json_reply(shapes.invite(invite, call.services.clock.now()))


async def delete_invite(call: Call) -> ASGIApp:
    """Withdraw an invite that nobody accepted yet."""
    invite_id = call.path_params["invite_id"]
    await members.withdraw_invite(call.records, call.actor(), invite_id)
    return json_reply(replies.Deleted(object="organization.invite.deleted", id=invite_id))
