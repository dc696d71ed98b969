"""The order of the waiting: first come first served within a project, an organization's projects in turn, organizations in turn."""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Generic, NamedTuple, TypeVar

from parley.serving.scheduling.turns import Turns

T = TypeVar("T")


class Tenant(NamedTuple):
    """For whom a request runs."""

    organization_id: str
    project_id: str


class Room(Enum):
    """Whether there is room for one more of a project, and if not, who has to give some back first."""

    THERE = auto()
    PROJECT_IS_FULL = auto()
    ORGANIZATION_IS_FULL = auto()


def _always(_tenant: Tenant, _item: object) -> Room:
    return Room.THERE


class _Line(Generic[T]):
    """The waiting of one organization: by project, and whose turn it is among these."""

    def __init__(self) -> None:
        self.projects: dict[str, deque[T]] = {}
        self.turns = Turns()


class FairQueue(Generic[T]):
    """A queue that serves its organizations in turn, and within each its projects, so that no flood delays another's request
    and nobody is served more for having many projects, or for asking for much at a time.

    Pure: it never waits and knows no clock.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Line[T]] = {}
        self._turns = Turns()
        self._num_of_organization: Counter[str] = Counter()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def num_of(self, tenant: Tenant) -> int:
        """How many of this project wait."""
        return len(self._items_of(tenant))

    def num_of_organization(self, organization_id: str) -> int:
        """How many of all its projects wait."""
        return self._num_of_organization[organization_id]

    def push(self, tenant: Tenant, item: T) -> None:
        """Put `item` behind the others of its project."""
        line = self._lines.get(tenant.organization_id)
        if line is None:
            line = self._lines[tenant.organization_id] = _Line()
            self._turns.enter(tenant.organization_id)
        items = line.projects.get(tenant.project_id)
        if items is None:
            items = line.projects[tenant.project_id] = deque()
            line.turns.enter(tenant.project_id)
        items.append(item)
        self._count(tenant, 1)

    def head(self, room: Callable[[Tenant, T], Room] = _always) -> tuple[Tenant, T] | None:
        """Who is next, with its project; None when nobody is.

        A project that has no room is passed over. Where its organization has none, nobody else of it passes whoever is first
        there, who would wait for ever behind others that need less; other organizations do.
        """
        for organization_id in self._turns.order():
            line = self._lines[organization_id]
            for project_id in line.turns.order():
                tenant, item = Tenant(organization_id, project_id), line.projects[project_id][0]
                found = room(tenant, item)
                if found is Room.THERE:
                    return tenant, item
                if found is Room.ORGANIZATION_IS_FULL:
                    break
        return None

    def pop(self, tenant: Tenant, amount: int = 1) -> T:
        """Take the first of a project, which is given so much with it. Raises KeyError when the project has none."""
        line = self._lines[tenant.organization_id]
        item = line.projects[tenant.project_id].popleft()
        line.turns.give(tenant.project_id, amount)
        self._turns.give(tenant.organization_id, amount)
        self._count(tenant, -1)
        return item

    def remove(self, tenant: Tenant, item: T) -> None:
        """Take `item` out of the middle; nothing happens when it is not there."""
        items = self._items_of(tenant)
        if item in items:
            items.remove(item)
            self._count(tenant, -1)

    def _items_of(self, tenant: Tenant) -> deque[T]:
        line = self._lines.get(tenant.organization_id)
        items = None if line is None else line.projects.get(tenant.project_id)
        return deque() if items is None else items

    def _count(self, tenant: Tenant, change: int) -> None:
        """Keep the numbers, and no place for who has none left."""
        organization_id, project_id = tenant
        self._length += change
        self._num_of_organization[organization_id] += change
        line = self._lines[organization_id]
        if not line.projects[project_id]:
            del line.projects[project_id]
            line.turns.leave(project_id)
        if not line.projects:
            del self._lines[organization_id], self._num_of_organization[organization_id]
            self._turns.leave(organization_id)
