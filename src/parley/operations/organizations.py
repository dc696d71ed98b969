"""Organizations, as the installation's operator sees them: list, create, approve, suspend, change."""

import logging
from dataclasses import dataclass, replace

from parley.core.actor import Actor
from parley.core.errors import InvalidRequest
from parley.core.limits import FREE_TIER
from parley.core.pages import Page, PageRequest
from parley.core.principal import Scope
from parley.domain.accounts.model import Organization, OrganizationStatus
from parley.infra.db import Transaction
from parley.operations.authority import checked_name, note, require
from parley.operations.records import Records

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChange:
    """What shall change; None: it stays as it is."""

    name: str | None = None
    status: OrganizationStatus | None = None
    tier: str | None = None


async def list_organizations(records: Records, actor: Actor, page: PageRequest) -> Page[Organization]:
    """Every organization of the installation."""
    require(actor, Scope.OPERATOR)
    return await records.database.read(lambda connection: records.accounts.list_organizations(connection, page))


async def find_organization(records: Records, actor: Actor, organization_id: str) -> Organization:
    """Raises NotFound."""
    if organization_id != actor.organization_id:
        require(actor, Scope.OPERATOR)
    return await records.database.read(lambda connection: records.accounts.organization(connection, organization_id))


async def create_organization(records: Records, actor: Actor, name: str) -> Organization:
    """A new organization with its first project, and nobody in it yet."""
    require(actor, Scope.OPERATOR)
    name = checked_name(name)

    def work(transaction: Transaction) -> Organization:
        project = records.accounts.found(transaction, name)
        organization = records.accounts.organization(transaction.connection, project.organization_id)
        note(records, transaction, actor, "organization.created", after=_seen(organization))
        return organization

    return await records.database.transaction(work)


async def change_organization(
    records: Records, actor: Actor, organization_id: str, change: OrganizationChange
) -> Organization:
    """Approve (active), suspend, rename, or put into another tier; keys and sessions follow at once. Raises NotFound."""
    require(actor, Scope.OPERATOR)

    def work(transaction: Transaction) -> Organization:
        found = records.accounts.organization(transaction.connection, organization_id)
        changed = replace(
            found,
            name=found.name if change.name is None else checked_name(change.name),
            status=change.status or found.status,
            tier=change.tier or found.tier,
        )
        if found.is_house and changed.status is not OrganizationStatus.ACTIVE:
            raise InvalidRequest("The first organization operates the installation and stays active.", param="status")
        # One that left `tiers.toml` since keeps nobody from suspending the organization.
        if change.tier and changed.tier not in records.rates.tier_names:
            known = ", ".join(records.rates.tier_names)
            raise InvalidRequest(f"There is no such tier; there are {known}.", param="tier")
        records.accounts.change_organization(transaction, changed)
        transaction.on_commit(lambda: records.rates.set_tier(changed.id, changed.tier))
        note(records, transaction, actor, "organization.updated", before=_seen(found), after=_seen(changed))
        return changed

    return await records.database.transaction(work)


async def warn_of_unknown_tiers(records: Records) -> None:
    """Say in the log of each organization whose tier left `tiers.toml` which limits count for it instead."""
    for organization in await records.database.read(records.accounts.all_organizations, within_seconds=None):
        if organization.tier not in records.rates.tier_names:
            _log.warning(
                "an organization is in a tier that tiers.toml does not have; the limits of another count for it",
                extra={"organization_id": organization.id, "tier": organization.tier, "counts_instead": FREE_TIER},
            )


def _seen(organization: Organization) -> dict[str, object]:
    """An organization as the audit log shows it; the entry is in its own log."""
    return {
        "id": organization.id,
        "organization_id": organization.id,
        "name": organization.name,
        "status": organization.status.value,
        "tier": organization.tier,
    }
