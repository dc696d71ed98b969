"""What is held out stays held out, whatever the seed."""

from random import Random

from training.corpus import arithmetic, registry, sum_wordings
from training.corpus.draw import Draw, Side, is_held_out
from training.corpus.framing import Fact
from training.corpus.numbers import Operation, Sum, random_sum
from training.corpus.words import NAMES
from training.samples import Completion, Drill, Sample

LISTS_OF_TEMPLATES = (sum_wordings.QUESTIONS, sum_wordings.NEXT_QUESTIONS, NAMES)


def _drawn(side: Side, options: tuple[str, ...], seeds: range) -> set[str]:
    return {Draw(Random(seed), side).template("a kind", options) for seed in seeds}


def test_templates_and_names_of_the_two_sides_never_meet_under_any_seed():
    for options in LISTS_OF_TEMPLATES:
        taught, held_out = _drawn(Side.TRAIN, options, range(3000)), _drawn(Side.HELD_OUT, options, range(3000, 6000))
        assert held_out
        assert taught.isdisjoint(held_out)
        assert taught | held_out == set(options)


def test_the_plainest_template_is_always_taught():
    assert "What is {sum}?" in _drawn(Side.TRAIN, sum_wordings.QUESTIONS, range(2000))


def test_an_addition_is_held_out_in_both_orders():
    for left in range(100):
        for right in range(100):
            assert Sum(left, Operation.ADD, right).is_held_out() == Sum(right, Operation.ADD, left).is_held_out()


def test_of_a_held_out_product_the_mirrored_one_is_taught():
    held_out = [
        Sum(a, Operation.MULTIPLY, b)
        for a in range(11)
        for b in range(11)
        if Sum(a, Operation.MULTIPLY, b).is_held_out()
    ]
    assert held_out
    assert not any(Sum(made.right, Operation.MULTIPLY, made.left).is_held_out() for made in held_out)


def test_sums_are_drawn_from_their_own_side_and_inside_the_stated_range():
    for side in Side:
        draw = Draw(Random(3), side)
        for operation in Operation:
            for _ in range(300):
                made = random_sum(draw, operation)
                assert made.is_held_out() == (side is Side.HELD_OUT)
                assert made.is_in_range()


def test_about_an_eighth_of_the_combinations_is_held_out():
    share = sum(is_held_out("pair", a, b) for a in range(100) for b in range(100)) / 10_000
    assert 0.10 < share < 0.14


def _asked(sample: Sample) -> str:
    if isinstance(sample, Completion):
        return f"{sample.prompt}|{sample.suffix}"
    if isinstance(sample, Drill):
        return str(sample.lines)
    return "|".join(message.content for message in sample.messages if message.role != "assistant")


def test_no_held_out_conversation_is_among_thousands_of_taught_ones():
    splits_by_template = {
        "arithmetic",
        "arithmetic_chain",
        "capitals",
        "persona_name",
        "json",
        "reverse_words",
        "count_words",
        "opposites",
    }
    source = registry.samples(11, Side.TRAIN)
    taught = {_asked(next(source)) for _ in range(20_000)}
    for held_out_source in registry.skill_samples(7, Side.HELD_OUT):
        for sample in (next(held_out_source) for _ in range(50)):
            assert sample.skill not in splits_by_template or _asked(sample) not in taught


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another():
    def first(seed: int) -> list[Sample]:
        source = registry.samples(seed, Side.TRAIN)
        return [next(source) for _ in range(200)]

    assert first(5) == first(5)
    assert first(5) != first(6)


def test_a_sum_as_a_fact_has_its_result_as_its_word():
    fact = arithmetic.sum_fact(Draw(Random(1), Side.TRAIN))
    assert isinstance(fact, Fact)
    assert fact.answer.endswith(f"= {fact.word}.")
