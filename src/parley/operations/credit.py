"""What an operator does with money: look, top up, grant, set budgets and prices, thaw. Each is one unit of work."""

from dataclasses import dataclass

from parley.core.errors import InvalidRequest, NotFound
from parley.core.ids import new_id
from parley.core.money import MAX_PRICE_NANO
from parley.core.price import Price
from parley.domain.billing.model import Grant
from parley.domain.catalog.model import price_version
from parley.infra.db import Transaction
from parley.operations.records import Records

DAY_SECONDS = 86_400.0
# What an organization gets that signs up: $18 for three months.
FREE_GRANT_NANO = 18_000_000_000
FREE_GRANT_DAYS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credits:
    """An organization's money now, in nano-dollars. `grants` are those with something left, the first to expire first."""

    organization_id: str
    is_metered: bool
    is_frozen: bool
    credit_nano: int
    held_nano: int
    available_nano: int
    month_nano: int
    grants: tuple[Grant, ...]


async def show_credits(records: Records, organization_id: str | None) -> Credits:
    """The money of an organization; None: that of the first start. Raises NotFound."""
    organization_id = await _known(records, organization_id)
    books = records.billing.books
    account = books.account(organization_id)
    return Credits(
        organization_id=organization_id,
        is_metered=organization_id != books.open_organization,
        is_frozen=account.is_frozen,
        credit_nano=account.credit_nano,
        held_nano=books.held_nano(organization_id),
        available_nano=books.available_nano(organization_id),
        month_nano=books.spent_nano(organization_id),
        grants=tuple(grant for grant in account.grants if grant.left_nano),
    )


async def top_up(
    records: Records, organization_id: str | None, nano: int, *, payment: str | None = None, note: str = ""
) -> Credits:
    """Add paid credit. A `payment` that was posted before raises Conflict; without one each call is a new payment."""
    owner = await _known(records, organization_id)
    key = payment or new_id("payment_")
    await records.database.transaction(lambda unit: records.billing.top_up(unit, owner, nano, key=key, note=note))
    return await show_credits(records, owner)


async def grant(records: Records, organization_id: str | None, nano: int, *, days: float) -> Credits:
    """Give credit that expires."""
    owner = await _known(records, organization_id)
    seconds = days * DAY_SECONDS
    await records.database.transaction(
        lambda unit: records.billing.grant(unit, owner, nano, lifetime_seconds=seconds, note="by the operator")
    )
    return await show_credits(records, owner)


def grant_at_sign_up(records: Records, transaction: Transaction, organization_id: str) -> Grant:
    """What every organization gets that signs up, in the unit of work that makes it."""
    return records.billing.grant(
        transaction,
        organization_id,
        FREE_GRANT_NANO,
        lifetime_seconds=FREE_GRANT_DAYS * DAY_SECONDS,
        note="at sign-up",
    )


async def set_budget(records: Records, scope: str, limit_nano: int | None) -> None:
    """What an organization, a project or a key (by id) may spend in a month; None lifts it."""
    if not scope.startswith(("org-", "proj_", "key_")):
        raise InvalidRequest(f"{scope!r} is the id of no organization, project or key.", param="scope")
    await records.database.transaction(lambda unit: records.billing.set_budget(unit, scope, limit_nano))


async def set_price(records: Records, organization_id: str | None, model: str, price: Price | None) -> None:
    """What the organization pays for a model (a snapshot's name, or an alias of one); None: what everybody pays."""
    if price is not None and not all(
        0 <= nano <= MAX_PRICE_NANO
        for nano in (price.input_token_nano, price.cached_token_nano, price.output_token_nano)
    ):
        raise InvalidRequest(f"A token costs 0 to {MAX_PRICE_NANO} nano-dollars.", param="price")
    owner = await _known(records, organization_id)
    snapshot = records.catalog.resolve(model)
    if price is not None:
        version = price_version(f"{owner}/{snapshot.name}", price.numbers)
        price = Price(
            version=version,
            input_token_nano=price.input_token_nano,
            cached_token_nano=price.cached_token_nano,
            output_token_nano=price.output_token_nano,
        )
    await records.database.transaction(lambda unit: records.billing.set_price(unit, owner, snapshot.name, price))


async def thaw(records: Records, organization_id: str) -> Credits:
    """Let a frozen account buy again: the operator has looked at what did not agree."""
    await records.database.transaction(lambda unit: records.billing.set_frozen(unit, organization_id, reason=None))
    return await show_credits(records, organization_id)


async def _known(records: Records, organization_id: str | None) -> str:
    """The organization, or the first one; money for one that does not exist would be nobody's. Raises NotFound."""
    if organization_id is None:
        return (await records.database.read(records.accounts.default_project)).organization_id
    if not await records.database.read(lambda connection: records.accounts.exists(connection, organization_id)):
        raise NotFound(f"No such organization: {organization_id}")
    return organization_id
