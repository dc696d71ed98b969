"""Is the ledger what was written? Walks the chain and names the first entry that is not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parley.domain.billing.model import GENESIS, Entry, Unreadable, entry_hash

# Entries read at a time: a second of work is cut into pieces that let a reader's snapshot go.
PAGE_ENTRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first entry that is not what was written. `accounts` are those that it names, as far as it can be read."""

    seq: int
    reason: str
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the chain has been walked."""

    seq: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Consecutive entries as they were read, and the checkpoints among their numbers."""

    entries: Sequence[Entry]
    checkpoints: dict[int, bytes]


def walk_page(position: Position, page: Page) -> Position | Fault:
    """The position after the page, or the fault in it."""
    seq, previous = position.seq, position.hash
    for entry in page.entries:
        seq += 1
        named = (str(entry.debit), str(entry.credit))
        if entry.seq != seq:
            return Fault(seq=seq, reason=f"entry {seq} is missing; the next one is {entry.seq}", accounts=named)
        previous = entry_hash(previous, entry, seq)
        if entry.hash != previous:
            return Fault(seq=seq, reason=f"entry {seq} ({entry.key!r}) is not what was written", accounts=named)
        mark = page.checkpoints.get(seq)
        if mark is not None and mark != previous:
            return Fault(seq=seq, reason=f"entry {seq} is not what its checkpoint says", accounts=named)
    return Position(seq=seq, hash=previous)


def walk(
    read_page: Callable[[int], Page], start: Position, *, last_checkpoint: int, max_entries: int | None = None
) -> Position | Fault:
    """Walk from `start` to the end, or `max_entries` far. `read_page(seq)` reads what follows number `seq`."""
    position = start
    while max_entries is None or position.seq - start.seq < max_entries:
        try:
            page = read_page(position.seq)
        except Unreadable as damage:
            return Fault(seq=damage.seq, reason=str(damage))
        if not page.entries:
            if position.seq < last_checkpoint:
                return Fault(
                    seq=position.seq + 1, reason=f"entries {position.seq + 1} to {last_checkpoint} are missing"
                )
            return position
        reached = walk_page(position, page)
        if isinstance(reached, Fault):
            return reached
        position = reached
    return position
