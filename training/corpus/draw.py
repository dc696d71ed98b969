"""Random choices for the generator, with the held-out split built in.

What is held out is decided by a hash of the thing itself, never by the seed: a template, a name or a pair of operands
belongs to one side for ever, however often and with whatever seed the corpus is made.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import TypeVar

T = TypeVar("T")

HELD_OUT_PERCENT = 12
_MAX_TRIES = 10_000


class Side(Enum):
    """Which half of the split a sample is drawn from."""

    TRAIN = "train"
    HELD_OUT = "held_out"


def _rank(kind: str, thing: str) -> int:
    return int.from_bytes(blake2b(f"{kind}|{thing}".encode(), digest_size=8).digest())


def is_held_out(kind: str, *parts: object) -> bool:
    """Whether a combination (operands, a phrase) belongs to the held-out side."""
    return _rank(kind, "|".join(map(str, parts))) % 100 < HELD_OUT_PERCENT


def falls_to_first(kind: str, *parts: object) -> bool:
    """One of two halves, by hash: for what is held out in one of two ways."""
    return _rank(kind, "|".join(map(str, parts))) % 2 == 0


@lru_cache(maxsize=4096)
def _divided(kind: str, options: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    # The first option is the plainest way to ask; people use it most, so it is always taught.
    plainest, *others = options
    ranked = sorted(others, key=lambda option: _rank(kind, option))
    cut = max(1, round(len(options) * HELD_OUT_PERCENT / 100))
    return (plainest, *ranked[cut:]), tuple(ranked[:cut])


def is_taught(kind: str, options: Sequence[str], template: str) -> bool:
    """Whether a template of a list belongs to the training side."""
    return template in _divided(kind, tuple(options))[0]


class Draw:
    """One side's source of randomness."""

    def __init__(self, random: Random, side: Side) -> None:
        self.random = random
        self.side = side

    def template(self, kind: str, options: Sequence[str]) -> str:
        """One of `options` that belongs to this side; every list of two or more gives up at least one to the held-out side."""
        train, held_out = _divided(kind, tuple(options))
        return self.random.choice(train if self.side is Side.TRAIN else held_out)

    def until(self, kind: str, make: Callable[[], T], key: Callable[[T], object] = lambda made: made) -> T:
        """What `make` gives, made again until its key belongs to this side."""
        for _ in range(_MAX_TRIES):
            made = make()
            if is_held_out(kind, key(made)) == (self.side is Side.HELD_OUT):
                return made
        raise RuntimeError(f"no {kind} on the {self.side.value} side in {_MAX_TRIES} tries")

    def is_other_side(self, kind: str, thing: object) -> bool:
        """Whether a thing belongs to the side that this draw may not show."""
        return is_held_out(kind, thing) != (self.side is Side.HELD_OUT)

    def pick(self, options: Sequence[T]) -> T:
        """Any of `options`; these are not split."""
        return self.random.choice(options)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random.random() < probability

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return self.random.randint(low, high)
