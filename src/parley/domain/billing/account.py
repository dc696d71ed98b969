"""One organization's money: what it paid in, and its grants, the first to expire first."""

from parley.domain.billing.model import Grant, credit_account, grant_account


class Account:
    """Balances in nano-dollars. Only the books change them."""

    def __init__(self, organization_id: str) -> None:
        self.organization_id = organization_id
        self.credit_nano = 0
        self.grants: list[Grant] = []
        self.is_frozen = False

    def add_grant(self, grant: Grant) -> None:
        """Take a grant in, at its place in the order of use."""
        self.grants.append(grant)
        self.grants.sort(key=lambda other: (other.expires_at, other.id))

    def available_nano(self, now: float) -> int:
        """Everything that could be spent at `now`, holds aside."""
        left = self.credit_nano
        for grant in self.grants:
            if grant.expires_at > now:
                left += grant.left_nano
        return left

    def draw(self, nano: int, admitted_at: float) -> list[tuple[str, int]]:
        """Take `nano` out: (account, amount) of each source. A grant counts that had not expired at `admitted_at`."""
        sources = []
        for grant in self.grants:
            if nano and grant.left_nano and grant.expires_at > admitted_at:
                part = min(nano, grant.left_nano)
                grant.left_nano -= part
                nano -= part
                sources.append((grant_account(grant.id), part))
        if nano:
            # The hold made sure that this is there.
            self.credit_nano -= nano
            sources.append((credit_account(self.organization_id), nano))
        return sources

    def give_back(self, account: str, nano: int) -> None:
        """Undo a part of `draw`."""
        if account == credit_account(self.organization_id):
            self.credit_nano += nano
        for grant in self.grants:
            if account == grant_account(grant.id):
                grant.left_nano += nano

    def balances(self) -> dict[str, int]:
        """The balance of each ledger account, those of zero left out."""
        found = {grant_account(grant.id): grant.left_nano for grant in self.grants if grant.left_nano}
        if self.credit_nano:
            found[credit_account(self.organization_id)] = self.credit_nano
        return found
