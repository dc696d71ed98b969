"""What an operator does with money: look, top up, grant, set budgets and prices, thaw.

Each is one unit of work with its entry in the audit log, and is done in the organization that the actor is at work in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from parley.core.actor import Actor
from parley.core.durations import MAX_LIFETIME_DAYS
from parley.core.errors import InvalidRequest
from parley.core.ids import new_id
from parley.core.money import MAX_PRICE_NANO
from parley.core.price import Price
from parley.core.principal import Scope
from parley.domain.billing.model import Grant
from parley.domain.billing.service import check_budget
from parley.domain.catalog.model import price_version
from parley.infra.db import Connection, Transaction
from parley.operations.authority import note as note_change
from parley.operations.authority import require
from parley.operations.manage_keys import change_keys
from parley.operations.records import Records

DAY_SECONDS = 86_400.0
MAX_PAYMENT_LENGTH = 100
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrice:
    """What is different for an organization from what everybody pays, in nano-dollars; None: nothing is."""

    input_token_nano: int | None = None
    cached_token_nano: int | None = None
    output_token_nano: int | None = None
    audio_second_nano: int | None = None
    training_token_nano: int | None = None
    # One picture, by size.
    image_nano: Mapping[str, int] = field(default_factory=dict)

    def on(self, usual: Price) -> Price:
        """The whole price, without its version."""
        stated = {name: value for name in _UNIT_PRICES if (value := getattr(self, name)) is not None}
        images = dict(usual.image_nano) | dict(self.image_nano)
        return replace(usual, version="", image_nano=tuple(sorted(images.items())), **stated)


_UNIT_PRICES = tuple([each.name for each in fields(OwnPrice) if each.name != "image_nano"])


async def show_credits(records: Records, actor: Actor) -> Credits:
    """The money of the organization that the actor is at work in."""
    if not actor.principal.may(Scope.OPERATOR):
        require(actor, Scope.ADMIN_READ)
    organization_id = actor.organization_id
    books = records.billing.books
    account = books.account(organization_id)
    return Credits(
        organization_id=organization_id,
        is_metered=not books.is_open_organization(organization_id),
        is_frozen=account.is_frozen,
        credit_nano=account.credit_nano,
        held_nano=books.held_nano(organization_id),
        available_nano=books.available_nano(organization_id),
        month_nano=books.spent_nano(organization_id),
        grants=tuple(grant for grant in account.grants if grant.left_nano and grant.expires_at > records.clock.now()),
    )


async def top_up(records: Records, actor: Actor, nano: int, *, payment: str | None = None, note: str = "") -> Credits:
    """Add paid credit. A `payment` that was posted before raises Conflict; without one each call is a new payment.

    Raises InvalidRequest.
    """
    require(actor, Scope.OPERATOR)
    if payment is not None and not 1 <= len(payment) <= MAX_PAYMENT_LENGTH:
        raise InvalidRequest(f"The name of a payment has 1 to {MAX_PAYMENT_LENGTH} characters.", param="payment")
    key = payment or new_id("payment_")

    def work(transaction: Transaction) -> None:
        records.billing.top_up(transaction, actor.organization_id, nano, key=key, note=note)
        added = {"id": key, "organization_id": actor.organization_id, "amount_nano": nano, "note": note}
        note_change(records, transaction, actor, "credit.added", after=added)

    await records.database.transaction(work)
    return await show_credits(records, actor)


async def grant(records: Records, actor: Actor, nano: int, *, days: float) -> Credits:
    """Give credit that expires. Raises InvalidRequest."""
    require(actor, Scope.OPERATOR)
    if not 0 < days <= MAX_LIFETIME_DAYS:
        raise InvalidRequest(f"A grant is for at most {MAX_LIFETIME_DAYS} days.", param="days")
    seconds = days * DAY_SECONDS

    def work(transaction: Transaction) -> None:
        given = records.billing.grant(
            transaction, actor.organization_id, nano, lifetime_seconds=seconds, note="by the operator"
        )
        note_change(records, transaction, actor, "credit.granted", after=given)

    await records.database.transaction(work)
    return await show_credits(records, actor)


def grant_at_sign_up(records: Records, transaction: Transaction, actor: Actor) -> Grant:
    """What every organization gets that signs up, in the unit of work that makes it; `actor` is who signs up."""
    given = records.billing.grant(
        transaction,
        actor.organization_id,
        FREE_GRANT_NANO,
        lifetime_seconds=FREE_GRANT_DAYS * DAY_SECONDS,
        note="at sign-up",
    )
    note_change(records, transaction, actor, "credit.granted", after=given)
    return given


async def set_budget(records: Records, actor: Actor, scope: str, limit_nano: int | None) -> None:
    """What an organization, a project or a key (by id, whosever it is) may spend in a month; None lifts it.

    Raises NotFound, InvalidRequest.
    """
    require(actor, Scope.OPERATOR)
    check_budget(limit_nano)

    def work(transaction: Transaction) -> None:
        if scope.startswith("key_"):
            # It is kept with the key, where those who made the key set it as well.
            key = records.accounts.key(transaction.connection, scope)
            together = [key, *records.accounts.counted_with(transaction.connection, key)]
            change_keys(
                records, transaction, actor, [(each, replace(each, budget_nano=limit_nano)) for each in together]
            )
            return
        seen = _budgeted(records, transaction.connection, scope)
        before = records.billing.budget_nano(transaction.connection, scope)
        records.billing.set_budget(transaction, scope, limit_nano)
        note_change(
            records,
            transaction,
            actor,
            "budget.updated",
            before=seen | {"monthly_budget_nano": before},
            after=seen | {"monthly_budget_nano": limit_nano},
        )

    await records.database.transaction(work)


async def set_price(records: Records, actor: Actor, model: str, own: OwnPrice | None) -> None:
    """What the organization pays for a model (a snapshot's name, or an alias of one); None: what everybody pays.

    What `own` does not state is what everybody pays at this moment, and stays so. Raises InvalidRequest, ModelNotFound.
    """
    require(actor, Scope.OPERATOR)
    owner = actor.organization_id
    snapshot = records.catalog.resolve(model)
    price: Price | None = None
    if own is not None:
        price = own.on(snapshot.price)
        if not all(0 <= number <= MAX_PRICE_NANO for number in price.numbers if isinstance(number, int)):
            raise InvalidRequest(f"A unit costs 0 to {MAX_PRICE_NANO} nano-dollars.", param="price")
        price = replace(price, version=price_version(f"{owner}/{snapshot.name}", price.numbers))

    def work(transaction: Transaction) -> None:
        before = records.billing.own_price(transaction.connection, owner, snapshot.name)
        records.billing.set_price(transaction, owner, snapshot.name, price)
        seen = {"id": snapshot.name, "organization_id": owner}
        note_change(
            records,
            transaction,
            actor,
            "price.updated",
            before=seen | {"price": before},
            after=seen | {"price": price},
        )

    await records.database.transaction(work)


async def thaw(records: Records, actor: Actor) -> Credits:
    """Let a frozen account buy again: the operator has looked at what did not agree."""
    require(actor, Scope.OPERATOR)
    owner = actor.organization_id

    def work(transaction: Transaction) -> None:
        seen = {"id": owner, "organization_id": owner}
        reason = records.billing.frozen_reason(transaction.connection, owner)
        records.billing.set_frozen(transaction, owner, reason=None)
        note_change(
            records,
            transaction,
            actor,
            "account.thawed",
            before=seen | {"frozen": reason},
            after=seen | {"frozen": None},
        )

    await records.database.transaction(work)
    return await show_credits(records, actor)


def _budgeted(records: Records, connection: Connection, scope: str) -> dict[str, str | int | None]:
    """The organization or project of this id, as the audit log shows whose budget it is. Raises NotFound."""
    if scope.startswith("org-"):
        return {"id": scope, "organization_id": records.accounts.organization(connection, scope).id}
    if scope.startswith("proj_"):
        project = records.accounts.any_project(connection, scope)
        return {"id": scope, "organization_id": project.organization_id, "project_id": scope}
    raise InvalidRequest(f"{scope!r} is the id of no organization, project or key.", param="scope")
