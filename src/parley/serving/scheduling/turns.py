"""Whose turn it is among equals, by what each was given so far: start-time fair queueing (Goyal, Vin and Cheng, 1996)."""

from collections import OrderedDict

# Of those who wait no more, so many are remembered.
_MAX_REMEMBERED = 1_024


class Turns:
    """Each of those who wait has a start, in units of what is given. The least start is next; what it is given puts it forward.

    Who comes new begins at the start of whoever was served last: nobody saves up turns by staying away. Who leaves and comes
    again begins no earlier than where it left. Pure: it never waits and knows no clock.
    """

    def __init__(self) -> None:
        self._now = 0
        # Equal starts go by who came, or was served, first.
        self._starts: OrderedDict[str, int] = OrderedDict()
        self._left: OrderedDict[str, int] = OrderedDict()

    def enter(self, name: str) -> None:
        """Somebody waits who did not."""
        self._starts[name] = max(self._now, self._left.pop(name, 0))

    def order(self) -> list[str]:
        """Those who wait, the next one first."""
        if len(self._starts) == 1:
            return list(self._starts)
        return sorted(self._starts, key=self._starts.__getitem__)

    def give(self, name: str, amount: int) -> None:
        """One of those who wait was given so much."""
        start = self._starts[name]
        self._now = max(self._now, start)
        self._starts[name] = start + amount
        self._starts.move_to_end(name)

    def leave(self, name: str) -> None:
        """Somebody waits no more."""
        start = self._starts.pop(name)
        if start > self._now:
            self._left[name] = start
            if len(self._left) > _MAX_REMEMBERED:
                self._left.popitem(last=False)
