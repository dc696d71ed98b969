"""The books: balances, budgets and open holds in memory. The only place where credit is reserved and given back.

They are a cache of the ledger, of which this process is the only writer (the data folder, or the database, is locked for
it). All methods run on the event loop and none awaits, so a check and its reservation cannot be parted. What a hold is
closed with is taken off the balance at once and handed to the writer in the same order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from parley.core.claim import Claim
from parley.core.clock import Clock
from parley.core.hold import Hold, Need
from parley.core.price import Price
from parley.core.principal import Principal
from parley.domain.billing.account import Account
from parley.domain.billing.model import (
    EXPIRED,
    REVENUE,
    Budget,
    EntryKind,
    Grant,
    Posting,
    credit_account,
    grant_account,
    microseconds,
    open_account,
)
from parley.domain.billing.months import Months
from parley.domain.billing.refusals import Bound, account_frozen, quota_exceeded

# A grant's rest is written off only so long after its end: a clock that jumps for a day and comes back expires nothing.
_EXPIRY_GRACE_SECONDS = 2 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the database says: balances by organization, what is left of grants, spend by month and scope."""

    credit: Mapping[str, int] = field(default_factory=dict)
    grants: Iterable[Grant] = ()
    budgets: Iterable[Budget] = ()
    frozen: Iterable[str] = ()
    # Month -> scope -> nano-dollars.
    spent: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Closed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What closing a hold came to: the charge, never more than was held, and the entries that move it."""

    charge_nano: int
    postings: tuple[Posting, ...]
    # What is added to the month's spend, and whose.
    month: str
    scopes: tuple[str, str, str]


class Books:
    """`open_organization` is the one that pays nothing and is refused nothing; None when every one is metered."""

    def __init__(self, clock: Clock, contents: Contents | None = None, *, open_organization: str | None = None) -> None:
        contents = contents or Contents()
        self._clock = clock
        self.open_organization = open_organization
        self._accounts: dict[str, Account] = {}
        self._holds: dict[str, Hold] = {}
        self._months = Months(contents.spent)
        self._budgets = {budget.scope: budget.limit_nano for budget in contents.budgets}
        self._held: dict[str, int] = {}
        # What was added to each account of the ledger after it was durable, since this process began.
        self._arrived: dict[str, int] = {}
        for organization_id, nano in contents.credit.items():
            self._account(organization_id).credit_nano = nano
        for grant in contents.grants:
            self._account(grant.organization_id).add_grant(grant)
        for organization_id in contents.frozen:
            self._account(organization_id).is_frozen = True

    @property
    def holds(self) -> Mapping[str, Hold]:
        """The open holds by request."""
        return self._holds

    @property
    def num_frozen(self) -> int:
        """How many organizations are frozen."""
        return sum(account.is_frozen for account in self._accounts.values())

    def held_nano(self, scope: str) -> int:
        """What is held now for an organization, a project or a spender (see Principal)."""
        return self._held.get(scope, 0)

    def available_nano(self, organization_id: str) -> int:
        """What the organization could still spend: credit and grants that have not expired, less what is held on them."""
        return self._available_nano(organization_id, self._clock.now())

    def account(self, organization_id: str) -> Account:
        """The organization's money; the caller changes nothing in it."""
        return self._account(organization_id)

    def spent_nano(self, scope: str) -> int:
        """What a scope has been charged in the current month."""
        return self._months.spent_nano(scope, self._clock.now())

    def open_hold(
        self, request_id: str, principal: Principal, price: Price, need: Need, claim: Claim | None = None
    ) -> Hold:
        """Reserve what a request may cost, or raise RateLimited. Exactly one hold may be open for a request.

        `claim` is settled with it.

        Fails closed: the books are in memory, so there is no store that could be down.
        """
        if request_id in self._holds:
            raise RuntimeError(f"a hold is open for {request_id}")
        now = self._clock.now()
        fixed = need.input_tokens * price.dearest_input_nano + need.other_nano
        fixed += need.audio_seconds * price.audio_second_nano
        num_tokens = need.output_tokens
        amount = fixed + num_tokens * price.output_token_nano
        room = self._room(principal, now)
        if room is not None and amount > room[0]:
            left, bound = room
            if fixed + need.min_output_tokens * price.output_token_nano > left:
                raise quota_exceeded(bound)
            num_tokens = (left - fixed) // price.output_token_nano
            amount = fixed + num_tokens * price.output_token_nano
        hold = Hold(
            request_id=request_id,
            principal=principal,
            price=price,
            amount_nano=amount,
            opened_at=now,
            num_output_tokens=num_tokens,
            claim=claim,
        )
        self._holds[request_id] = hold
        self._reserve(principal, amount)
        return hold

    def adopt(self, hold: Hold) -> None:
        """Take in a hold that another process opened, whatever the balance: it was there when that one did."""
        self._holds[hold.request_id] = hold
        self._reserve(hold.principal, hold.amount_nano)

    def extend(self, hold: Hold, num_tokens: int) -> int:
        """Cover up to `num_tokens` more output tokens; how many could be, which is 0 where none may be bought. Never raises."""
        # A reply that has begun ends with "length" where its account was frozen meanwhile, as where its money ended.
        if not hold.is_open or self._is_refused(hold.principal.organization_id):
            return 0
        room = self._room(hold.principal, self._grows_at(hold))
        price = hold.price.output_token_nano
        if room is not None and num_tokens * price > room[0]:
            num_tokens = room[0] // price
        hold.amount_nano += num_tokens * price
        hold.num_output_tokens += num_tokens
        self._reserve(hold.principal, num_tokens * price)
        return num_tokens

    def cover(self, hold: Hold, nano: int) -> None:
        """Hold so much more for what was used already, as far as there is room for it. Never raises."""
        if not hold.is_open or self._is_refused(hold.principal.organization_id):
            return
        room = self._room(hold.principal, self._grows_at(hold))
        if room is not None:
            nano = min(nano, room[0])
        hold.amount_nano += nano
        self._reserve(hold.principal, nano)

    def extend_audio(self, hold: Hold, num_seconds: int, *, least: int) -> int:
        """Cover up to `num_seconds` more of audio; how many could be. Raises RateLimited, and changes nothing, where not
        even `least` are affordable."""
        if not hold.is_open:
            return num_seconds
        room = self._room(hold.principal, self._grows_at(hold))
        price = hold.price.audio_second_nano
        if room is not None and num_seconds * price > room[0]:
            left, bound = room
            num_seconds = left // price
            if num_seconds < least:
                raise quota_exceeded(bound)
        hold.amount_nano += num_seconds * price
        self._reserve(hold.principal, num_seconds * price)
        return num_seconds

    def is_open_organization(self, organization_id: str) -> bool:
        """Whether the organization is open: it pays nothing and is refused nothing."""
        return organization_id == self.open_organization

    def close(self, hold: Hold, charge_nano: int, *, is_free: bool | None = None, at: float | None = None) -> Closed:
        """Charge an open hold and give back the rest. The charge comes off the balance now; it is not durable yet.

        `is_free` says whether the organization was open when the hold was opened; None: it is as it is now. `at` is when the
        request ended, which is what month the charge counts in; None: now.
        """
        if not hold.is_open:
            raise RuntimeError(f"the hold for {hold.request_id} is closed")
        charge = max(0, min(charge_nano, hold.amount_nano))
        self.release(hold)
        now = self._clock.now() if at is None else at
        principal = hold.principal
        scopes = (principal.organization_id, principal.project_id, principal.spender)
        month = self._months.add(scopes, charge, now)
        return Closed(charge_nano=charge, postings=self._draw(hold, charge, now, is_free), month=month, scopes=scopes)

    def take_back(self, closed: Closed) -> None:
        """Undo a charge that the ledger refused, and never will have. To be called in the order of the commits."""
        self._months.take_back(closed.scopes, closed.charge_nano, closed.month)
        account = self._account(closed.scopes[0])
        for posting in closed.postings:
            account.give_back(posting.debit, posting.amount_nano)
            # The ledger has had it all along.
            self._arrive(posting.debit, posting.amount_nano)

    def release(self, hold: Hold) -> None:
        """Give back whatever is still held. Any number of times."""
        if hold.is_open:
            hold.is_open = False
            del self._holds[hold.request_id]
            self._reserve(hold.principal, -hold.amount_nano)

    def add_credit(self, organization_id: str, nano: int) -> None:
        """A top-up has become durable."""
        self._account(organization_id).credit_nano += nano
        self._arrive(credit_account(organization_id), nano)

    def add_grant(self, grant: Grant) -> None:
        """A grant has become durable."""
        self._account(grant.organization_id).add_grant(grant)
        self._arrive(grant_account(grant.id), grant.left_nano)

    def set_budget(self, scope: str, limit_nano: int | None) -> None:
        """The monthly budget of an organization or a project, or none; a key has its own with it, in its principal."""
        if limit_nano is None:
            self._budgets.pop(scope, None)
        else:
            self._budgets[scope] = limit_nano

    def set_frozen(self, organization_id: str, *, is_frozen: bool) -> None:
        """Refuse everything an organization asks for, or no longer."""
        self._account(organization_id).is_frozen = is_frozen

    def expire(self) -> list[Posting]:
        """Write off grants whose time has been over for a while; the entries to be posted.

        A grant that a running request was admitted on stays until that request is settled.
        """
        now = self._clock.now()
        postings = []
        for account in self._accounts.values():
            for grant in account.grants:
                is_over = grant.left_nano > 0 and grant.expires_at + _EXPIRY_GRACE_SECONDS <= now
                if is_over and not self._is_in_use(grant):
                    postings.append(
                        Posting(
                            key=f"expiry:{grant.id}",
                            kind=EntryKind.EXPIRY,
                            at=microseconds(now),
                            debit=grant_account(grant.id),
                            credit=EXPIRED,
                            amount_nano=grant.left_nano,
                            note=grant.id,
                        )
                    )
                    grant.left_nano = 0
        return postings

    def balances(self) -> dict[str, int]:
        """The balance of each account that holds an organization's money, those of zero left out."""
        found: dict[str, int] = {}
        for account in self._accounts.values():
            found |= account.balances()
        return found

    def arrived(self) -> dict[str, int]:
        """What came to each account in the ledger first and here behind it. A charge, and an expiry, is here first."""
        return dict(self._arrived)

    def _arrive(self, account: str, nano: int) -> None:
        self._arrived[account] = self._arrived.get(account, 0) + nano

    def _account(self, organization_id: str) -> Account:
        account = self._accounts.get(organization_id)
        if account is None:
            account = self._accounts[organization_id] = Account(organization_id)
        return account

    def _reserve(self, principal: Principal, nano: int) -> None:
        held = self._held
        for scope in (principal.organization_id, principal.project_id, principal.spender):
            left = held.get(scope, 0) + nano
            if left:
                held[scope] = left
            else:
                held.pop(scope, None)

    def _is_refused(self, organization_id: str) -> bool:
        """Whether nothing is sold to the organization."""
        return organization_id != self.open_organization and self._account(organization_id).is_frozen

    def _room(self, principal: Principal, now: float) -> tuple[int, Bound] | None:
        """How much this principal may still hold, and what bounds it; None where nothing does. Raises for a frozen account."""
        tightest: tuple[int, Bound] | None = None
        organization_id = principal.organization_id
        if self._is_refused(organization_id):
            raise account_frozen()
        if organization_id != self.open_organization:
            left = self._available_nano(organization_id, now)
            tightest = (max(left, 0), Bound.CREDIT)
        own = principal.budget_nano
        if self._budgets or own is not None:
            for bound, scope, limit in (
                (Bound.ORGANIZATION, organization_id, self._budgets.get(organization_id)),
                (Bound.PROJECT, principal.project_id, self._budgets.get(principal.project_id)),
                (Bound.KEY, principal.spender, own),
            ):
                if limit is not None:
                    left = max(limit - self._months.spent_nano(scope, now) - self.held_nano(scope), 0)
                    if tightest is None or left < tightest[0]:
                        tightest = (left, bound)
        return tightest

    def _grows_at(self, hold: Hold) -> float:
        """When it is now for a hold that is made larger: not before it was opened, whatever the clock was set to since."""
        return max(self._clock.now(), hold.opened_at)

    def _available_nano(self, organization_id: str, now: float) -> int:
        account = self._account(organization_id)
        return account.available_nano(now) + self._on_expired(account, now) - self.held_nano(organization_id)

    def _on_expired(self, account: Account, now: float) -> int:
        """What is held on grants that have expired since, which still pay for it: nobody else could have that."""
        nano = 0
        for grant in account.grants:
            if not grant.left_nano or grant.expires_at > now:
                continue
            held = 0
            for hold in self._holds.values():
                # They are in the order in which they were opened, so that only the oldest are looked at.
                if hold.opened_at >= grant.expires_at:
                    break
                if hold.principal.organization_id == account.organization_id:
                    held += hold.amount_nano
            nano = min(held, nano + grant.left_nano)
        return nano

    def _draw(self, hold: Hold, charge: int, now: float, is_free: bool | None) -> tuple[Posting, ...]:
        """The entries of a charge: grants that counted when the request was admitted, the first to expire first; then credit."""
        if not charge:
            return ()
        organization_id = hold.principal.organization_id
        if self.is_open_organization(organization_id) if is_free is None else is_free:
            sources = [(open_account(organization_id), charge)]
        else:
            sources = self._account(organization_id).draw(charge, hold.opened_at)
        at = microseconds(now)
        postings = [
            Posting(
                key=f"charge:{hold.request_id}:{part}",
                kind=EntryKind.CHARGE,
                at=at,
                debit=account,
                credit=REVENUE,
                amount_nano=nano,
                note=hold.request_id,
            )
            for part, (account, nano) in enumerate(sources)
        ]
        return tuple(postings)

    def _is_in_use(self, grant: Grant) -> bool:
        return any(
            hold.principal.organization_id == grant.organization_id and hold.opened_at < grant.expires_at
            for hold in self._holds.values()
        )
