"""The order of the waiting: first come first served within a project, projects in turn."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def _always(_project_id: str, _item: object) -> bool:
    return True


class FairQueue(Generic[T]):
    """A queue that serves its projects round robin, so that one project's flood does not delay another's request.

    Pure: it never waits and knows no clock.
    """

    def __init__(self) -> None:
        self._by_project: OrderedDict[str, deque[T]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def num_of(self, project_id: str) -> int:
        """How many of this project wait."""
        return len(self._by_project.get(project_id, ()))

    def push(self, project_id: str, item: T) -> None:
        """Put `item` behind the others of its project; a project new to the queue goes behind the other projects."""
        self._by_project.setdefault(project_id, deque()).append(item)
        self._length += 1

    def head(self, may_take: Callable[[str, T], bool] = _always) -> tuple[str, T] | None:
        """Who is next, with its project; None when nobody waits. A project whose first `may_take` refuses is passed over."""
        for project_id, items in self._by_project.items():
            if may_take(project_id, items[0]):
                return project_id, items[0]
        return None

    def pop(self, project_id: str) -> T:
        """Take the first of a project, and move the project behind the others. Raises KeyError when it has none."""
        items = self._by_project.pop(project_id)
        item = items.popleft()
        if items:
            self._by_project[project_id] = items
        self._length -= 1
        return item

    def remove(self, project_id: str, item: T) -> None:
        """Take `item` out of the middle; nothing happens when it is not there."""
        items = self._by_project.get(project_id)
        if items is None or item not in items:
            return
        items.remove(item)
        self._length -= 1
        if not items:
            del self._by_project[project_id]
