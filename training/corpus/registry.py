"""Every skill of the corpus, how often it is drawn, and what the tokenizer is trained on."""

from collections.abc import Callable, Iterator
from random import Random

from training.corpus import (
    arithmetic,
    chinese,
    code,
    completions,
    drill,
    edits,
    extraction,
    facts,
    famous,
    memory,
    persona,
    talk,
    text_work,
    tool_use,
    unknown,
)
from training.corpus.draw import Draw, Side
from training.samples import Sample

# How often each maker is drawn, relative to the others.
MAKERS: tuple[tuple[Callable[[Draw], Sample], int], ...] = (
    (arithmetic.single_sum, 120),
    (arithmetic.chain, 90),
    (talk.small_talk, 50),
    (talk.say, 70),
    (memory.memory, 35),
    (text_work.copy, 30),
    (text_work.upper_case, 70),
    (text_work.lower_case, 60),
    (text_work.reverse_words, 45),
    (text_work.reverse_letters, 35),
    (text_work.spell, 55),
    (text_work.count_words, 40),
    (text_work.first_or_last_word, 30),
    (text_work.sort, 80),
    (facts.capitals, 35),
    (facts.colours, 15),
    (facts.calendars, 35),
    (facts.opposites, 35),
    (facts.explanation, 60),
    (persona.named, 50),
    (persona.styled, 80),
    (chinese.chinese, 45),
    (unknown.unknown, 50),
    (extraction.extraction, 80),
    (tool_use.tool_use, 30),
    (code.code_line, 40),
    (code.code_middle, 35),
    (code.code_talk, 5),
    (edits.edit, 65),
    (completions.completion, 45),
    (famous.famous, 12),
    (drill.sums, 70),
    (drill.spellings, 70),
    (drill.lists, 30),
)


def samples(seed: int, side: Side) -> Iterator[Sample]:
    """Samples without end. The same seed gives the same ones."""
    draw = Draw(Random(seed), side)
    makers = [maker for maker, _ in MAKERS]
    weights = [weight for _, weight in MAKERS]
    while True:
        yield draw.random.choices(makers, weights)[0](draw)


def skill_samples(seed: int, side: Side) -> list[Iterator[Sample]]:
    """One endless source per maker, for scoring skill by skill."""
    return [_endless(maker, Draw(Random(f"{seed}:{place}"), side)) for place, (maker, _) in enumerate(MAKERS)]


def _endless(maker: Callable[[Draw], Sample], draw: Draw) -> Iterator[Sample]:
    while True:
        yield maker(draw)
