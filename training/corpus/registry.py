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
    (arithmetic.single_sum, 130),
    (arithmetic.chain, 150),
    (talk.small_talk, 30),
    (talk.say, 40),
    (memory.memory, 30),
    (text_work.copy, 50),
    (text_work.change_case, 50),
    (text_work.reverse, 60),
    (text_work.spell, 35),
    (text_work.count_words, 40),
    (text_work.first_or_last_word, 30),
    (text_work.sort, 60),
    (facts.capitals, 35),
    (facts.colours, 15),
    (facts.calendars, 20),
    (facts.opposites, 25),
    (facts.explanation, 40),
    (persona.named, 30),
    (persona.styled, 50),
    (chinese.chinese, 35),
    (unknown.unknown, 40),
    (extraction.extraction, 45),
    (tool_use.tool_use, 25),
    (code.code_line, 30),
    (code.code_middle, 30),
    (code.code_talk, 6),
    (edits.edit, 50),
    (completions.completion, 50),
    (famous.famous, 12),
    (drill.sums, 60),
    (drill.word_forms, 50),
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
