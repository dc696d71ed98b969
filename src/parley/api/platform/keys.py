"""`/v1/organization/projects/{id}/api_keys` and `/v1/organization/admin_api_keys`: keys, never shown twice."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import UNSET, UnsetType
from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import SHOWN_ONCE, json_reply
from parley.api.platform import shapes
from parley.api.platform.listing import page_reply, page_request
from parley.api.platform.schemas import replies, requests
from parley.core.principal import Scope
from parley.domain.accounts.model import IssuedKey, Key, KeyRequest
from parley.operations import manage_keys
from parley.operations.key_owners import Owners, owners_of
from parley.operations.manage_keys import KeyChange
from parley.operations.rotate_keys import rotate_key

Stated = TypeVar("Stated")
Converted = TypeVar("Converted")

_CREATE = JsonBody(requests.CreateKeyRequest)
_UPDATE = JsonBody(requests.UpdateKeyRequest)
_ROTATE = JsonBody(requests.RotateKeyRequest)
_CREATE_ADMIN = JsonBody(requests.CreateAdminKeyRequest)
_USUAL_SCOPES = frozenset({Scope.MODEL_REQUEST, Scope.READ})
# What a new admin key may where its maker names no scopes: to administer, and to hand out what a project needs.
_USUAL_ADMIN_SCOPES = frozenset({Scope.ADMIN, Scope.ALL})


async def list_project_keys(call: Call) -> ASGIApp:
    """The keys of a project."""
    page = await manage_keys.list_keys(
        call.records, call.actor(), page_request(call.http), project_id=call.path_params["project_id"]
    )
    owners = await owners_of(call.records, page.items)
    return page_reply(page, lambda key: _project_key(call, key, owners), lambda key: key.id)


async def create_project_key(call: Call) -> ASGIApp:
    """Make a key of a project; it is shown this once."""
    body = await _CREATE.read(call.http)
    principal = call.require_principal()
    request = KeyRequest(
        name=body.name,
        scopes=_USUAL_SCOPES if body.scopes is None else shapes.to_scopes(body.scopes),
        allowed_models=None if body.models is None else frozenset(body.models),
        expires_at=_end(call, body),
        user_id=principal.user_id,
        service_account_id=principal.service_account_id,
        limits=shapes.to_limits(body.limits),
        budget_nano=shapes.to_nano(body.monthly_budget_usd),
    )
    issued = await manage_keys.create_key(
        call.records, call.actor(), request, project_id=call.path_params["project_id"]
    )
    return await _issued(call, issued)


async def retrieve_project_key(call: Call) -> ASGIApp:
    """One key of a project."""
    key = await manage_keys.find_key(
        call.records, call.actor(), call.path_params["key_id"], project_id=call.path_params["project_id"]
    )
    return json_reply(_project_key(call, key, await owners_of(call.records, [key])))


async def modify_project_key(call: Call) -> ASGIApp:
    """Change what a key may do, from now on."""
    body = await _UPDATE.read(call.http)
    change = KeyChange(
        name=body.name,
        scopes=_if_stated(body.scopes, lambda scopes: shapes.to_scopes(scopes) or _USUAL_SCOPES),
        allowed_models=_if_stated(body.models, lambda models: None if models is None else frozenset(models)),
        expires_at=_changed_end(call, body),
        limits=_if_stated(body.limits, shapes.to_limits),
        budget_nano=_if_stated(body.monthly_budget_usd, shapes.to_nano),
    )
    key = await manage_keys.change_key(
        call.records, call.actor(), call.path_params["key_id"], change, project_id=call.path_params["project_id"]
    )
    return json_reply(_project_key(call, key, await owners_of(call.records, [key])))


async def rotate_project_key(call: Call) -> ASGIApp:
    """Make a key that may what this one may, and let this one end, at once or after an overlap."""
    body = await _ROTATE.read(call.http) if await call.http.body() else requests.RotateKeyRequest()
    issued = await rotate_key(
        call.records,
        call.actor(),
        call.path_params["key_id"],
        project_id=call.path_params["project_id"],
        overlap_seconds=body.overlap_seconds,
    )
    return await _issued(call, issued)


async def delete_project_key(call: Call) -> ASGIApp:
    """Revoke a key; it no longer counts when this is answered, and what runs with it ends."""
    key_id = call.path_params["key_id"]
    await manage_keys.revoke_key(call.records, call.actor(), key_id, project_id=call.path_params["project_id"])
    return json_reply(replies.Deleted(object="organization.project.api_key.deleted", id=key_id))


async def list_admin_keys(call: Call) -> ASGIApp:
    """The organization's admin keys."""
    page = await manage_keys.list_keys(call.records, call.actor(), page_request(call.http), project_id=None)
    owners = await owners_of(call.records, page.items)
    return page_reply(page, lambda key: _admin_key(call, key, owners), lambda key: key.id)


async def create_admin_key(call: Call) -> ASGIApp:
    """Make a key that administers the organization; it is shown this once."""
    body = await _CREATE_ADMIN.read(call.http)
    principal = call.require_principal()
    scopes = frozenset({scope for scope in _USUAL_ADMIN_SCOPES if principal.may(scope)})
    request = KeyRequest(
        name=body.name,
        scopes=scopes if body.scopes is None else shapes.to_scopes(body.scopes) | {Scope.ADMIN_READ},
        expires_at=_end(call, body),
        user_id=principal.user_id,
    )
    issued = await manage_keys.create_key(call.records, call.actor(), request)
    reply = _admin_key(call, issued.key, await owners_of(call.records, [issued.key]))
    reply.value = issued.secret
    return json_reply(reply, SHOWN_ONCE)


async def retrieve_admin_key(call: Call) -> ASGIApp:
    """One admin key."""
    key = await manage_keys.find_key(call.records, call.actor(), call.path_params["key_id"], project_id=None)
    return json_reply(_admin_key(call, key, await owners_of(call.records, [key])))


async def delete_admin_key(call: Call) -> ASGIApp:
    """Revoke an admin key."""
    key_id = call.path_params["key_id"]
    await manage_keys.find_key(call.records, call.actor(), key_id, project_id=None)
    await manage_keys.revoke_key(call.records, call.actor(), key_id)
    return json_reply(replies.Deleted(object="organization.admin_api_key.deleted", id=key_id))


async def _issued(call: Call, issued: IssuedKey) -> ASGIApp:
    reply = _project_key(call, issued.key, await owners_of(call.records, [issued.key]))
    reply.value = issued.secret
    return json_reply(reply, SHOWN_ONCE)


def _end(call: Call, body: requests.CreateKeyRequest | requests.CreateAdminKeyRequest) -> float | None:
    return shapes.to_end(body.expires_at, body.expires_in_seconds, call.services.clock.now())


def _changed_end(call: Call, body: requests.UpdateKeyRequest) -> float | UnsetType | None:
    at, in_seconds = body.expires_at, body.expires_in_seconds
    if isinstance(at, UnsetType) and isinstance(in_seconds, UnsetType):
        return UNSET
    return shapes.to_end(
        None if isinstance(at, UnsetType) else at,
        None if isinstance(in_seconds, UnsetType) else in_seconds,
        call.services.clock.now(),
    )


def _if_stated(value: Stated | UnsetType, convert: Callable[[Stated], Converted]) -> Converted | UnsetType:
    return UNSET if isinstance(value, UnsetType) else convert(value)


def _project_key(call: Call, key: Key, owners: Owners) -> replies.ProjectKey:
    return replies.ProjectKey(
        id=key.id,
        name=key.name,
        redacted_value=f"sk-...{key.last_four}",
        created_at=int(key.created_at),
        last_used_at=shapes.whole(call.platform.last_used.when(key.id, key.last_used_at)),
        owner=_owner(key, owners),
        owner_project_access="inactive" if key.id in owners.gone else "active",
        project_id=key.project_id,
        scopes=sorted(key.scopes),
        models=None if key.allowed_models is None else sorted(key.allowed_models),
        expires_at=shapes.whole(key.expires_at),
        limits=key.limits.stated(),
        monthly_budget_usd=shapes.to_dollars(key.budget_nano),
        value=UNSET,
    )


def _owner(key: Key, owners: Owners) -> replies.KeyOwner:
    user = owners.users.get(key.user_id or "")
    if user is not None:
        since = int(user.created_at)
        shown = replies.KeyUser(
            id=user.id, name=user.name, email=user.email, role="member", added_at=since, created_at=since
        )
        return replies.KeyOwner(type="user", user=shown)
    if key.service_account_id is not None:
        account = owners.service_accounts.get(key.service_account_id)
        if account is not None:
            return replies.KeyOwner(type="service_account", service_account=shapes.service_account(account))
    return replies.KeyOwner(type=None)


def _admin_key(call: Call, key: Key, owners: Owners) -> replies.AdminKey:
    user = owners.users.get(key.user_id or "")
    owner = replies.AdminKeyOwner(
        type="organization" if user is None else "user",
        object="organization" if user is None else "organization.user",
        id=key.organization_id if user is None else user.id,
        name="" if user is None else user.name,
        created_at=int(key.created_at if user is None else user.created_at),
        role="owner" if Scope.OWNER in key.scopes else "admin",
    )
    return replies.AdminKey(
        id=key.id,
        name=key.name,
        redacted_value=f"sk-...{key.last_four}",
        created_at=int(key.created_at),
        last_used_at=shapes.whole(call.platform.last_used.when(key.id, key.last_used_at)),
        owner=owner,
        scopes=sorted(key.scopes),
        expires_at=shapes.whole(key.expires_at),
    )
