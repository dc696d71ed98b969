"""How many slots each project holds, and who must leave the last ones free for its neighbours."""

from collections import Counter, deque

# Pools with fewer slots keep none back: it would be too much of them.
_MIN_SLOTS_TO_KEEP = 4
_KEPT_PART = 8
# A neighbour is one that was served among the last so many.
_NUM_REMEMBERED = 512


class Shares:
    """Pure: it never waits and knows no clock.

    Round robin alone lets a flood hold every slot, and a neighbour's request wait for one of them to end. So, while other
    projects are about, one project leaves an eighth of the slots (at least one) to them. Alone it may have all.
    """

    def __init__(self, num_slots: int) -> None:
        self._num_slots = num_slots
        self._num_kept = max(1, num_slots // _KEPT_PART) if num_slots >= _MIN_SLOTS_TO_KEEP else 0
        self._held: Counter[str] = Counter()
        self._served: deque[str] = deque(maxlen=_NUM_REMEMBERED)
        self._num_served: Counter[str] = Counter()

    def may_take(self, project_id: str, num_slots: int) -> bool:
        """Whether the project may take so many free slots more. A project that holds none always may."""
        held = self._held[project_id]
        is_alone = self._num_served[project_id] == len(self._served)
        return held == 0 or is_alone or held + num_slots <= self._num_slots - self._num_kept

    def take(self, project_id: str, num_slots: int) -> None:
        """The project was given slots."""
        self._held[project_id] += num_slots
        if len(self._served) == _NUM_REMEMBERED:
            forgotten = self._served.popleft()
            self._num_served[forgotten] -= 1
            if not self._num_served[forgotten]:
                del self._num_served[forgotten]
        self._served.append(project_id)
        self._num_served[project_id] += 1

    def give_back(self, project_id: str, num_slots: int) -> None:
        """The project gave slots back."""
        self._held[project_id] -= num_slots
        if not self._held[project_id]:
            del self._held[project_id]
