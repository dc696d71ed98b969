"""The order of the waiting: first come first served within a project, projects in turn."""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue that serves its projects round robin, so that one project's flood does not delay another's request.

    Pure: it never waits and knows no clock.
    """

    def __init__(self) -> None:
        self._by_project: OrderedDict[str, deque[T]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, project_id: str, item: T) -> None:
        """Put `item` behind the others of its project; a project new to the queue goes behind the other projects."""
        self._by_project.setdefault(project_id, deque()).append(item)
        self._length += 1

    def head(self) -> T | None:
        """Who is next; None when nobody waits."""
        for items in self._by_project.values():
            return items[0]
        return None

    def pop(self) -> T:
        """Take who is next, and move its project behind the others. Raises KeyError when nobody waits."""
        project_id, items = self._by_project.popitem(last=False)
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
