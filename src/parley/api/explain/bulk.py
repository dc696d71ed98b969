"""A quick look at a long array: whether a run of its items is sound, at the speed of C.

The walk takes microseconds per item, and a body of a few megabytes can hold a million token ids.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from msgspec import inspect as shape

from parley.api.explain.candidates import candidates_of

_RUN = 1024


def suspicious_items(items: Sequence[object], item_type: shape.Type) -> Iterator[tuple[int, object]]:
    """The items that are worth a walk, with their indexes: all but those in runs that are sound as a whole."""
    for start in range(0, len(items), _RUN):
        run = items[start : start + _RUN]
        if not is_sound(run, item_type):
            yield from enumerate(run, start)


def is_sound(items: Sequence[object], item_type: shape.Type) -> bool:
    """Whether all `items` are integers within bounds, or arrays of such. False says nothing."""
    candidates = candidates_of(item_type)
    kinds = set(map(type, items))
    if kinds == {int}:
        return _are_within(items, candidates)
    if kinds != {list}:
        return False
    inner = next((candidate for candidate in candidates if isinstance(candidate, shape.ListType)), None)
    lists = [item for item in items if isinstance(item, list)]
    if inner is None or not _have_length(lists, inner):
        return False
    flat = list(chain.from_iterable(lists))
    return set(map(type, flat)) == {int} and _are_within(flat, candidates_of(inner.item_type))


def _are_within(items: Iterable[object], candidates: Sequence[shape.Type]) -> bool:
    bounds = next((candidate for candidate in candidates if isinstance(candidate, shape.IntType)), None)
    if bounds is None:
        return False
    numbers = [item for item in items if isinstance(item, int)]
    is_above = bounds.ge is None or min(numbers) >= bounds.ge
    return is_above and (bounds.le is None or max(numbers) <= bounds.le)


def _have_length(lists: Sequence[Sequence[object]], inner: shape.ListType) -> bool:
    lengths = list(map(len, lists))
    is_long_enough = inner.min_length is None or min(lengths) >= inner.min_length
    return is_long_enough and (inner.max_length is None or max(lengths) <= inner.max_length)
