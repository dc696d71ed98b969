"""`/v1/organizations`, ours: the organizations of this installation, for its operator; `/v1/organization`, one's own."""

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import json_reply
from parley.api.platform import shapes
from parley.api.platform.listing import page_reply, page_request
from parley.api.platform.schemas import requests
from parley.domain.accounts.model import OrganizationStatus
from parley.operations import organizations
from parley.operations.organizations import OrganizationChange

_CREATE = JsonBody(requests.CreateOrganizationRequest)
_UPDATE = JsonBody(requests.UpdateOrganizationRequest)


async def retrieve_own_organization(call: Call) -> ASGIApp:
    """The caller's organization."""
    actor = call.actor()
    found = await organizations.find_organization(call.records, actor, actor.organization_id)
    return json_reply(shapes.organization(found))


async def list_organizations(call: Call) -> ASGIApp:
    """Every organization."""
    page = await organizations.list_organizations(call.records, call.actor(), page_request(call.http))
    return page_reply(page, shapes.organization, lambda organization: organization.id)


async def create_organization(call: Call) -> ASGIApp:
    """Make an organization."""
    body = await _CREATE.read(call.http)
    made = await organizations.create_organization(call.records, call.actor(), body.name)
    return json_reply(shapes.organization(made))


async def retrieve_organization(call: Call) -> ASGIApp:
    """One organization."""
    found = await organizations.find_organization(call.records, call.actor(), call.path_params["organization_id"])
    return json_reply(shapes.organization(found))


async def modify_organization(call: Call) -> ASGIApp:
    """Approve, suspend or rename an organization, or put it into another tier."""
    body = await _UPDATE.read(call.http)
    change = OrganizationChange(
        name=body.name,
        status=None if body.status is None else OrganizationStatus(body.status),
        tier=body.tier,
    )
    changed = await organizations.change_organization(
        call.records, call.actor(), call.path_params["organization_id"], change
    )
    return json_reply(shapes.organization(changed))
