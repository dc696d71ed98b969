"""Where prompts are read and what they reuse: decisions without a model."""

import numpy as np

from parley.workers.slots import Placement, Slots, shared_length

SYSTEM = list(range(1000))


def ids(*parts: list[int]) -> np.ndarray:
    return np.array([token_id for part in parts for token_id in part], dtype=np.int32)


def run(slots: Slots, prompt: np.ndarray, salt: str = "ours") -> Placement:
    """A sequence that is over at once."""
    placement = start(slots, prompt, salt)
    slots.release(placement.slot, prompt, salt)
    return placement


def start(slots: Slots, prompt: np.ndarray, salt: str = "ours") -> Placement:
    placement = slots.place(prompt, salt)
    slots.take(placement, salt)
    slots.hold(placement.slot, prompt)
    return placement


def test_beginnings_are_compared_token_by_token() -> None:
    assert shared_length(ids([1, 2, 3]), ids([1, 2, 4, 5])) == 2
    assert shared_length(ids([1, 2]), ids([1, 2, 3])) == 2
    assert shared_length(ids([]), ids([1])) == 0
    assert shared_length(ids([9]), ids([1])) == 0


def test_a_conversation_goes_on_in_its_own_slot() -> None:
    slots = Slots(4)
    first = run(slots, ids(SYSTEM))
    run(slots, ids([5] * 300))
    again = slots.place(ids(SYSTEM, [1, 2, 3]), "ours")
    assert again == Placement(slot=first.slot, source=first.slot, num_shared=1000)


def test_the_last_token_of_a_prompt_is_always_read() -> None:
    slots = Slots(1)
    run(slots, ids(SYSTEM))
    assert slots.place(ids(SYSTEM), "ours").num_shared == 999


def test_a_beginning_in_a_running_slot_is_copied() -> None:
    slots = Slots(4)
    first = start(slots, ids(SYSTEM, [1] * 50))
    second = slots.place(ids(SYSTEM, [2] * 50), "ours")
    assert second.slot != first.slot
    assert (second.source, second.num_shared) == (first.slot, 1000)


def test_a_slot_with_much_more_than_the_shared_beginning_is_copied_not_cut() -> None:
    slots = Slots(4)
    first = run(slots, ids(SYSTEM, [1] * 500))
    second = slots.place(ids(SYSTEM, [2] * 50), "ours")
    assert second.slot != first.slot
    assert (second.source, second.num_shared) == (first.slot, 1000)


def test_what_is_not_worth_a_copy_is_read_again() -> None:
    slots = Slots(4)
    first = start(slots, ids([7] * 20))
    second = slots.place(ids([7] * 20, [8]), "ours")
    assert second == Placement(slot=second.slot, source=second.slot, num_shared=0)
    assert second.slot != first.slot


def test_nothing_is_shared_between_salts() -> None:
    slots = Slots(2)
    run(slots, ids(SYSTEM), "ours")
    assert slots.place(ids(SYSTEM, [1]), "theirs").num_shared == 0
    run(slots, ids(SYSTEM), "theirs")
    assert slots.place(ids(SYSTEM, [1]), "theirs").num_shared == 1000


def test_the_slot_that_was_not_used_for_longest_is_given_up_first() -> None:
    slots = Slots(3)
    placed = [run(slots, ids([number] * 300)).slot for number in (1, 2, 3)]
    assert sorted(placed) == [0, 1, 2]
    run(slots, ids([1] * 301))
    assert slots.place(ids([4] * 300), "ours").slot == placed[1]


def test_sequences_that_run_stay_neighbours() -> None:
    slots = Slots(8)
    running = [start(slots, ids([number] * 10)).slot for number in range(5)]
    assert sorted(running) == list(range(min(running), min(running) + 5))
    between = sorted(running)[2]
    slots.release(between, ids([between] * 10), "ours")
    assert slots.place(ids([9] * 10), "ours").slot == between


def test_a_prompt_that_was_read_for_others_eyes_leaves_nothing() -> None:
    slots = Slots(1)
    placement = start(slots, ids(SYSTEM), "")
    slots.release(placement.slot)
    assert slots.place(ids(SYSTEM), "").num_shared == 0


def test_all_slots_can_be_taken_and_are_free_again() -> None:
    slots = Slots(4)
    taken = [start(slots, ids([1] * 10)).slot, *(slots.take_empty("ours") for _ in range(3))]
    assert sorted(taken) == [0, 1, 2, 3]
    assert slots.num_free == 0
    for slot in taken:
        slots.release(slot)
    assert slots.num_free == 4


def test_a_slot_that_is_filled_from_another_belongs_to_the_same_salt() -> None:
    slots = Slots(2)
    run(slots, ids([1] * 300), "theirs")
    run(slots, ids([2] * 300), "theirs")
    start(slots, ids(SYSTEM), "ours")
    second = slots.take_empty("ours")
    slots.hold(second, ids(SYSTEM))
    slots.release(second, ids(SYSTEM), "ours")
    assert slots.place(ids(SYSTEM, [1]), "theirs").num_shared == 0
    assert slots.place(ids(SYSTEM, [1]), "ours").num_shared == 1000


def test_a_running_copy_is_not_seen_under_the_slots_old_salt() -> None:
    slots = Slots(3)
    for number in (1, 2, 3):
        run(slots, ids([number] * 300), "theirs")
    start(slots, ids(SYSTEM), "ours")
    slots.hold(slots.take_empty("ours"), ids(SYSTEM))
    assert slots.place(ids(SYSTEM, [1]), "theirs").num_shared == 0
