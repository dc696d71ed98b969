"""Which calls are answered next, together."""

from parley.workers.calls import Call, choose


def call(name: int, *, key: str = "one", seconds: float = 0.0, end: float = 0.0, stage: int = 0) -> Call:
    return Call(key=key, question=name, stage=stage, most=2, seconds_heard=seconds, end_seconds=end)


def chosen(*waiting: Call) -> list[int]:
    return [each.question for each in choose(waiting)]


def test_calls_of_one_key_are_chosen_together_by_who_was_heard_least_up_to_as_many_as_they_may_be():
    assert chosen(call(1, seconds=9), call(2, seconds=5), call(3, seconds=1)) == [3, 2]
    assert chosen(call(1, seconds=9), call(2, key="other", seconds=5)) == [2]
    assert chosen() == []


def test_a_short_passage_goes_before_long_ones_that_were_there_first():
    assert chosen(call(1, key="a", end=30), call(2, key="b", end=30), call(3, key="c", end=3)) == [3]
    assert chosen(call(1, key="a", seconds=20, end=30), call(2, key="b", seconds=10, end=30)) == [2]


def test_an_earlier_stage_comes_first_so_that_a_later_one_finds_company():
    assert chosen(call(1, stage=2), call(2, stage=0, seconds=100)) == [2]


def test_nobody_is_passed_over_for_ever():
    long = call(1, seconds=3_000)
    turns = [chosen(long, call(2), call(3)) for _ in range(9)]
    assert turns == [*[[2, 3]] * 8, [1, 2]]
