"""The walk along the chain of entries: what it believes, and the first thing that it does not."""

from msgspec import structs

from parley.domain.billing.model import GENESIS, Entry, EntryKind, Posting, entry_hash
from parley.domain.billing.verify import Fault, Page, Position, walk, walk_page


def chain(num_entries: int) -> list[Entry]:
    """Sound entries, each bound to the one before."""
    entries, previous = [], GENESIS
    for seq in range(1, num_entries + 1):
        posting = Posting(
            key=f"top-up:{seq}", kind=EntryKind.TOP_UP, at=seq, debit="top-ups", credit="credit:org-a", amount_nano=seq
        )
        previous = entry_hash(previous, posting, seq)
        entries.append(Entry(seq=seq, hash=previous, **structs.asdict(posting)))
    return entries


def test_sound_entries_that_agree_with_their_checkpoint_are_walked_to_the_end() -> None:
    entries = chain(3)
    page = Page(entries=entries, checkpoints={2: entries[1].hash})
    assert walk_page(Position(), page) == Position(seq=3, hash=entries[2].hash)


def test_a_chain_that_was_written_anew_is_found_at_the_checkpoint_that_it_does_not_meet() -> None:
    # Each entry is bound to the one before, as whoever knows the way of it can do: only the checkpoint tells.
    page = Page(entries=chain(3), checkpoints={2: b"what it was when it was kept"})
    fault = walk_page(Position(), page)
    assert isinstance(fault, Fault)
    assert (fault.seq, fault.reason) == (2, "entry 2 is not what its checkpoint says")
    assert fault.accounts == ("top-ups", "credit:org-a")


def test_a_walk_goes_as_far_as_it_is_told_and_on_from_there() -> None:
    entries = chain(5)

    def read_page(after: int) -> Page:
        return Page(entries=entries[after : after + 2], checkpoints={})

    there = walk(read_page, Position(), last_checkpoint=0, max_entries=2)
    assert there == Position(seq=2, hash=entries[1].hash)
    assert walk(read_page, there, last_checkpoint=5) == Position(seq=5, hash=entries[4].hash)


def test_a_chain_that_ends_before_its_last_checkpoint_has_lost_entries() -> None:
    entries = chain(2)
    fault = walk(lambda after: Page(entries=entries[after:], checkpoints={}), Position(), last_checkpoint=3)
    assert isinstance(fault, Fault)
    assert fault.reason == "entries 3 to 3 are missing"
