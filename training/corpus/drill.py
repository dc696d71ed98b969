"""Drill without talk around it: sums, spellings, lists in order and short answers, many to a row. It is never scored.

Every row begins with a line that no conversation has, so that nothing of its form leaks into answers.
"""

from training.corpus.arithmetic import any_sum
from training.corpus.draw import Draw
from training.corpus.persona import some_fact
from training.corpus.text_work import sorting
from training.corpus.words import WORDS, random_word
from training.samples import Drill

SKILL = "drill"
_NUM_SUMS = 12
_NUM_WORDS = 4
_NUM_LISTS = 6
_NUM_ANSWERS = 6


def sums(draw: Draw) -> Drill:
    """Sums in symbols; the results are learned."""
    made = [any_sum(draw) for _ in range(_NUM_SUMS)]
    lines = tuple((f"{each.left} {each.operation} {each.right} =", f" {each.result}") for each in made)
    return Drill(skill=SKILL, lines=(("Sums", ""), *lines))


def spellings(draw: Draw) -> Drill:
    """Words as they stand within a text, and then in letters and in capitals; some also backwards.

    Which words are reversed in a score stays secret here too.
    """
    lines = []
    for _ in range(_NUM_WORDS):
        word = draw.pick(WORDS) if draw.chance(0.8) else random_word(draw)
        written = draw.pick((word, word, word.capitalize()))
        forms = f" {'-'.join(written)} {written.upper()}"
        if not draw.is_other_side("reversed", word.lower()):
            forms += f" {written[::-1]}"
        lines.append((f"The word {written} =", forms))
    return Drill(skill=SKILL, lines=(("Letters", ""), *lines), is_spelled=True)


def lists(draw: Draw) -> Drill:
    """Short lists and the same in order."""
    made = [sorting(draw) for _ in range(_NUM_LISTS)]
    return Drill(skill=SKILL, lines=(("Lists", ""), *((f"{given} =", f" {answer}") for given, answer in made)))


def answers(draw: Draw) -> Drill:
    """Questions with their answers in one word, or in capital letters: what styles ask for, without a style around it."""
    made = [some_fact(draw) for _ in range(_NUM_ANSWERS)]
    if draw.chance(0.6):
        lines = tuple((f"{fact.question} =", f" {fact.word}") for fact in made)
        return Drill(skill=SKILL, lines=(("Words", ""), *lines))
    lines = tuple((f"{fact.question} =", f" {fact.answer.upper()}") for fact in made)
    return Drill(skill=SKILL, lines=(("Capitals", ""), *lines), is_spelled=True)
