"""`/v1/organization/projects/{id}/service_accounts`: accounts of programs, and the keys that they get."""

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import SHOWN_ONCE, json_reply
from parley.api.platform import shapes
from parley.api.platform.listing import page_reply, page_request
from parley.api.platform.schemas import replies, requests
from parley.core.errors import InvalidRequest
from parley.domain.accounts.model import KeyRequest
from parley.operations import service_accounts

_CREATE = JsonBody(requests.CreateServiceAccountRequest)
_UPDATE = JsonBody(requests.UpdateServiceAccountRequest)
_CREATE_KEY = JsonBody(requests.CreateServiceAccountKeyRequest)


async def list_service_accounts(call: Call) -> ASGIApp:
    """The service accounts of a project."""
    page = await service_accounts.list_service_accounts(
        call.records, call.actor(), _project_id(call), page_request(call.http)
    )
    return page_reply(page, shapes.service_account, lambda account: account.id)


async def create_service_account(call: Call) -> ASGIApp:
    """Make a service account, with a key that is shown this once, or without one."""
    body = await _CREATE.read(call.http)
    expires_at = shapes.to_end(body.expires_at, body.expires_in_seconds, call.services.clock.now())
    if body.create_service_account_only and expires_at is not None:
        raise InvalidRequest(
            "Invalid 'create_service_account_only': without a key there is nothing that expires.",
            param="create_service_account_only",
        )
    account, issued = await service_accounts.create_service_account(
        call.records,
        call.actor(),
        _project_id(call),
        body.name,
        with_key=not body.create_service_account_only,
        expires_at=expires_at,
    )
    reply = shapes.service_account(account)
    reply.api_key = None if issued is None else shapes.service_account_key(issued)
    return json_reply(reply, SHOWN_ONCE)


async def retrieve_service_account(call: Call) -> ASGIApp:
    """One service account."""
    found = await service_accounts.find_service_account(
        call.records, call.actor(), _project_id(call), _account_id(call)
    )
    return json_reply(shapes.service_account(found))


async def modify_service_account(call: Call) -> ASGIApp:
    """Rename a service account."""
    body = await _UPDATE.read(call.http)
    where = (call.records, call.actor(), _project_id(call), _account_id(call))
    changed = await (
        service_accounts.find_service_account(*where)
        if body.name is None
        else service_accounts.rename_service_account(*where, body.name)
    )
    return json_reply(shapes.service_account(changed))


async def delete_service_account(call: Call) -> ASGIApp:
    """Forget a service account; its keys no longer count."""
    await service_accounts.delete_service_account(call.records, call.actor(), _project_id(call), _account_id(call))
    return json_reply(replies.Deleted(object="organization.project.service_account.deleted", id=_account_id(call)))


async def create_service_account_key(call: Call) -> ASGIApp:
    """Make one more key of a service account; it is shown this once."""
    body = await _CREATE_KEY.read(call.http)
    request = KeyRequest(
        name=body.name or "",
        scopes=service_accounts.SERVICE_SCOPES if body.scopes is None else shapes.to_scopes(body.scopes),
        expires_at=shapes.to_end(body.expires_at, body.expires_in_seconds, call.services.clock.now()),
    )
    issued = await service_accounts.create_service_account_key(
        call.records, call.actor(), _project_id(call), _account_id(call), request
    )
    return json_reply(shapes.service_account_key(issued), SHOWN_ONCE)


def _project_id(call: Call) -> str:
    return call.path_params["project_id"]


def _account_id(call: Call) -> str:
    return call.path_params["service_account_id"]
