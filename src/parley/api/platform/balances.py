"""`/v1/organization/credits`, ours: what an organization may spend; and for the operator, of any organization, with top-ups."""

from dataclasses import replace

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import json_reply
from parley.api.platform import shapes
from parley.api.platform.schemas import replies, requests
from parley.core.actor import Actor
from parley.core.money import to_number
from parley.operations import credit, organizations
from parley.operations.credit import Credits

_TOP_UP = JsonBody(requests.CreateTopUpRequest)


async def show_own_credits(call: Call) -> ASGIApp:
    """What the caller's organization may spend."""
    return json_reply(_to_wire(await credit.show_credits(call.records, call.actor())))


async def show_credits(call: Call) -> ASGIApp:
    """What an organization may spend."""
    return json_reply(_to_wire(await credit.show_credits(call.records, await _at_work_there(call))))


async def create_top_up(call: Call) -> ASGIApp:
    """Add paid credit; a payment of the same name counts once."""
    body = await _TOP_UP.read(call.http)
    actor = await _at_work_there(call)
    nano = shapes.to_nano(body.amount_usd) or 0
    topped = await credit.top_up(call.records, actor, nano, payment=body.payment, note=body.note or "")
    return json_reply(_to_wire(topped))


async def _at_work_there(call: Call) -> Actor:
    """The operator, at work in the organization that the path names. Raises NotFound."""
    actor = call.actor()
    found = await organizations.find_organization(call.records, actor, call.path_params["organization_id"])
    return replace(actor, principal=replace(actor.principal, organization_id=found.id))


def _to_wire(found: Credits) -> replies.OrganizationCredits:
    return replies.OrganizationCredits(
        organization_id=found.organization_id,
        is_metered=found.is_metered,
        is_frozen=found.is_frozen,
        paid_usd=to_number(found.credit_nano),
        grants=[
            replies.CreditGrant(left_usd=to_number(grant.left_nano), expires_at=int(grant.expires_at))
            for grant in found.grants
        ],
        held_usd=to_number(found.held_nano),
        available_usd=to_number(found.available_nano),
        charged_this_month_usd=to_number(found.month_nano),
    )
