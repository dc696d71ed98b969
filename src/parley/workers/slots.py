"""Where a prompt is read, and what of it need not be read again: pure decisions over what each slot holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# Copying a slot costs as much as reading some tens of tokens.
WORTH_COPYING = 64
# A slot is taken over from its own past where no more than so many tokens are lost by it.
_WORTH_KEEPING = 256
_NOTHING: Ints = np.empty(0, dtype=np.int64)


@dataclass(slots=True)
class Slot:
    """One sequence's place. `tokens` are the cells that its memory holds, also after its sequence has ended."""

    index: int
    tokens: Ints
    salt: str = ""
    is_busy: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """`num_shared` tokens of the prompt stand in the slot `source` already, which may be `slot` itself."""

    slot: int
    source: int
    num_shared: int


class Slots:
    """All slots of a replica. Sequences that run are kept side by side: llama.cpp runs only neighbours in one step."""

    def __init__(self, count: int) -> None:
        self._slots = [Slot(index, _NOTHING) for index in range(count)]
        self._clock = 0

    @property
    def num_free(self) -> int:
        return sum(not slot.is_busy for slot in self._slots)

    def place(self, prompt: Ints, salt: str) -> Placement:
        """Choose a free slot for a prompt; `take` it next. The last token is always read, for its logits are wanted."""
        most = len(prompt) - 1
        shared = {s.index: min(shared_length(s.tokens, prompt), most) for s in self._slots if s.salt == salt}
        source = max(shared, key=lambda index: (shared[index], -index), default=0)
        num_shared = shared.get(source, 0)
        near = self._near()
        if num_shared and source in near:
            lost = len(self._slots[source].tokens) - num_shared
            if lost < _WORTH_KEEPING or len(near) == 1:
                return Placement(slot=source, source=source, num_shared=num_shared)
        if num_shared < WORTH_COPYING:
            slot = self._oldest(near)
            return Placement(slot=slot, source=slot, num_shared=shared.get(slot, 0))
        # Not the source, if another is as near.
        slot = self._oldest([index for index in near if index != source] or near)
        return Placement(slot=slot, source=source, num_shared=num_shared)

    def take(self, placement: Placement, salt: str) -> None:
        """A slot is busy from now on, and holds the shared tokens."""
        source, slot = self._slots[placement.source], self._slots[placement.slot]
        self._clock += 1
        source.last_used = self._clock
        slot.tokens, slot.salt, slot.is_busy = source.tokens[: placement.num_shared], salt, True

    def take_empty(self, salt: str) -> int:
        """Take a free slot whose memory will be filled from another's."""
        index = self._oldest(self._near())
        slot = self._slots[index]
        slot.tokens, slot.salt, slot.is_busy = _NOTHING, salt, True
        return index

    def hold(self, index: int, tokens: Ints) -> None:
        """A busy slot holds these tokens now."""
        self._slots[index].tokens = tokens

    def release(self, index: int, tokens: Ints = _NOTHING, salt: str = "") -> None:
        """A slot is free; what it holds may serve another prompt."""
        self._clock += 1
        slot = self._slots[index]
        slot.tokens, slot.salt, slot.is_busy, slot.last_used = tokens, salt, False, self._clock

    def _oldest(self, indices: Sequence[int]) -> int:
        return min(indices, key=lambda index: (self._slots[index].last_used, index))

    def _near(self) -> Sequence[int]:
        """The free slots between those that run; without any, those beside them; all when none runs."""
        busy = [slot.index for slot in self._slots if slot.is_busy]
        free = [slot.index for slot in self._slots if not slot.is_busy]
        if not busy:
            return free
        between = [index for index in free if busy[0] < index < busy[-1]]
        return between or [index for index in free if index in {busy[0] - 1, busy[-1] + 1}]


def shared_length(one: Ints, other: Ints) -> int:
    """How many tokens two beginnings have in common."""
    length = min(len(one), len(other))
    differs = one[:length] != other[:length]
    return int(differs.argmax()) if differs.any() else length
