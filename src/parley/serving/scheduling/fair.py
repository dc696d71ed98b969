"""The order of the waiting: first come first served within a project, an organization's projects in turn, organizations in turn."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Tenant(NamedTuple):
    """For whom a request runs."""

    organization_id: str
    project_id: str


def _always(_tenant: Tenant, _item: object) -> bool:
    return True


class FairQueue(Generic[T]):
    """A queue that serves its organizations round robin, and within each its projects, so that no flood delays another's request
    and nobody is served more often for having many projects.

    Pure: it never waits and knows no clock.
    """

    def __init__(self) -> None:
        self._organizations: OrderedDict[str, OrderedDict[str, deque[T]]] = OrderedDict()
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
        """Put `item` behind the others of its project; who is new to the queue goes behind the others."""
        projects = self._organizations.setdefault(tenant.organization_id, OrderedDict())
        projects.setdefault(tenant.project_id, deque()).append(item)
        self._count(tenant, 1)

    def head(self, may_take: Callable[[Tenant, T], bool] = _always) -> tuple[Tenant, T] | None:
        """Who is next, with its project; None when nobody waits. A project whose first `may_take` refuses is passed over."""
        for organization_id, projects in self._organizations.items():
            for project_id, items in projects.items():
                tenant = Tenant(organization_id, project_id)
                if may_take(tenant, items[0]):
                    return tenant, items[0]
        return None

    def pop(self, tenant: Tenant) -> T:
        """Take the first of a project, and move the project and its organization behind the others. Raises KeyError when it has none."""
        projects = self._organizations[tenant.organization_id]
        item = projects[tenant.project_id].popleft()
        projects.move_to_end(tenant.project_id)
        self._organizations.move_to_end(tenant.organization_id)
        self._count(tenant, -1)
        return item

    def remove(self, tenant: Tenant, item: T) -> None:
        """Take `item` out of the middle; nothing happens when it is not there."""
        items = self._items_of(tenant)
        if item in items:
            items.remove(item)
            self._count(tenant, -1)

    def _items_of(self, tenant: Tenant) -> deque[T]:
        projects = self._organizations.get(tenant.organization_id)
        items = None if projects is None else projects.get(tenant.project_id)
        return deque() if items is None else items

    def _count(self, tenant: Tenant, change: int) -> None:
        """Keep the numbers, and no place for who has none left."""
        organization_id, project_id = tenant
        self._length += change
        self._num_of_organization[organization_id] += change
        projects = self._organizations[organization_id]
        if not projects[project_id]:
            del projects[project_id]
        if not projects:
            del self._organizations[organization_id], self._num_of_organization[organization_id]
