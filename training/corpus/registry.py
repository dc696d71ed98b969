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
    (arithmetic.chain, 200),
    (talk.small_talk, 90),
    (talk.say, 75),
    (memory.memory, 65),
    (text_work.copy, 70),
    (text_work.upper_case, 80),
    (text_work.lower_case, 70),
    (text_work.reverse_words, 70),
    (text_work.reverse_letters, 35),
    (text_work.spell, 40),
    (text_work.count_words, 60),
    (text_work.first_or_last_word, 15),
    (text_work.sort, 105),
    (facts.capitals, 22),
    (facts.colours, 12),
    (facts.calendars, 42),
    (facts.opposites, 35),
    (facts.explanation, 60),
    (persona.named, 85),
    (persona.styled, 230),
    (chinese.chinese, 75),
    (unknown.unknown, 60),
    (extraction.extraction, 130),
    (tool_use.tool_use, 50),
    (code.code_line, 35),
    (code.code_middle, 45),
    (code.code_talk, 8),
    (edits.edit, 110),
    (completions.completion, 75),
    (famous.famous, 50),
    (drill.sums, 160),
    (drill.spellings, 95),
    (drill.lists, 60),
    (drill.answers, 120),
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
