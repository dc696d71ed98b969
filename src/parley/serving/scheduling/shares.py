"""How many slots each project and organization holds, and who must leave the last ones free for its neighbours."""

from collections import Counter, deque
from collections.abc import Hashable

from parley.serving.scheduling.fair import Room, Tenant

# Of fewer slots none is kept back: it would be too much of them.
_MIN_SLOTS_TO_KEEP = 4
_KEPT_PART = 8
# What one run takes at most while neighbours are about: what is wider has to wait for many slots to be free at once, which are
# idle meanwhile, and holds many at once.
_WIDEST_PART = 4
# A neighbour is one that was served among the last so many.
_NUM_REMEMBERED = 512


class Shares:
    """Pure: it never waits and knows no clock.

    Round robin alone lets a flood hold every slot, and a neighbour's request wait for one of them to end. So, while other
    organizations are about, one organization leaves an eighth of the slots (at least one) to them; and of what its
    organization may have, one project leaves as much to the organization's others while these are about. Alone each may have all,
    but where `keeps_for_newcomers` an organization always leaves its eighth.
    """

    def __init__(self, num_slots: int, *, keeps_for_newcomers: bool = False) -> None:
        self._num_slots = num_slots
        self._keeps_for_newcomers = keeps_for_newcomers
        # By tenant, and by organization alone.
        self._held: Counter[Hashable] = Counter()
        self._served: deque[Tenant] = deque(maxlen=_NUM_REMEMBERED)
        self._num_served: Counter[Hashable] = Counter()

    def room(self, tenant: Tenant, num_slots: int) -> Room:
        """Whether the project may take so many free slots more. Who holds none always may."""
        organization_id = tenant.organization_id
        num_of_organization = self._num_served[organization_id]
        is_alone = num_of_organization == len(self._served) and not self._keeps_for_newcomers
        most = _share(self._num_slots, is_alone=is_alone)
        if not self._is_within(organization_id, num_slots, most):
            return Room.ORGANIZATION_IS_FULL
        most = _share(most, is_alone=self._num_served[tenant] == num_of_organization)
        return Room.THERE if self._is_within(tenant, num_slots, most) else Room.PROJECT_IS_FULL

    def widest(self, tenant: Tenant) -> int:
        """How many slots one run of the project should ask for at most: alone all of them."""
        if self._num_served[tenant] == len(self._served) or self._num_slots < _MIN_SLOTS_TO_KEEP:
            return self._num_slots
        return self._num_slots // _WIDEST_PART

    def take(self, tenant: Tenant, num_slots: int) -> None:
        """The project was given slots."""
        if len(self._served) == _NUM_REMEMBERED:
            forgotten = self._served.popleft()
            for name in (forgotten, forgotten.organization_id):
                _add(self._num_served, name, -1)
        self._served.append(tenant)
        for name in (tenant, tenant.organization_id):
            self._held[name] += num_slots
            self._num_served[name] += 1

    def give_back(self, tenant: Tenant, num_slots: int) -> None:
        """The project gave slots back."""
        for name in (tenant, tenant.organization_id):
            _add(self._held, name, -num_slots)

    def _is_within(self, name: Hashable, num_slots: int, most: int) -> bool:
        held = self._held[name]
        return held == 0 or held + num_slots <= most


def _share(num_slots: int, *, is_alone: bool) -> int:
    """How many of so many slots one may have."""
    if is_alone or num_slots < _MIN_SLOTS_TO_KEEP:
        return num_slots
    return num_slots - max(1, num_slots // _KEPT_PART)


def _add(counts: Counter[Hashable], name: Hashable, change: int) -> None:
    counts[name] += change
    if not counts[name]:
        del counts[name]
