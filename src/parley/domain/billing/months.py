"""What organizations, projects and keys were charged, by calendar month (UTC)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from parley.domain.billing.model import month_of


class Months:
    """Sums by month and scope. A month that the clock left is kept: one that jumps back meets what was spent."""

    def __init__(self, spent: Mapping[str, Mapping[str, int]]) -> None:
        self._spent = {month: dict(scopes) for month, scopes in spent.items()}
        self._month = ""
        # The month above covers [start, end) in seconds since the epoch.
        self._start = 0.0
        self._end = 0.0

    def spent_nano(self, scope: str, now: float) -> int:
        """What the scope was charged in the month of `now`."""
        return self._spent.get(self.month(now), {}).get(scope, 0)

    def add(self, scopes: Iterable[str], nano: int, now: float) -> str:
        """Count a charge for each scope; the month it counts in."""
        month = self.month(now)
        if nano:
            spent = self._spent.setdefault(month, {})
            for scope in scopes:
                spent[scope] = spent.get(scope, 0) + nano
        return month

    def take_back(self, scopes: Iterable[str], nano: int, month: str) -> None:
        """Undo an `add` that counted in this month."""
        for scope in scopes if nano else ():
            self._spent[month][scope] -= nano

    def month(self, now: float) -> str:
        """The month of `now`; the calendar is asked once a month."""
        if not self._start <= now < self._end:
            self._month = month_of(now)
            self._start, self._end = span_of_month(self._month)
        return self._month


def span_of_month(month: str) -> tuple[float, float]:
    """When a month (UTC) begins, and when the one behind it does, in seconds since the epoch."""
    first = datetime.strptime(month + "+0000", "%Y-%m%z")
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.timestamp(), following.astimezone(UTC).timestamp()
