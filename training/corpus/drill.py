"""Drill without talk around it: sums and the forms of words, many to a row. It is never scored."""

from training.corpus.arithmetic import any_sum
from training.corpus.draw import Draw
from training.corpus.words import WORDS
from training.samples import Drill

SKILL = "drill"
_NUM_SUMS = 10
_NUM_WORDS = 4


def sums(draw: Draw) -> Drill:
    """Sums in symbols; the results are learned."""
    made = [any_sum(draw) for _ in range(_NUM_SUMS)]
    return Drill(
        skill=SKILL, lines=tuple((f"{each.left} {each.operation} {each.right} =", f" {each.result}.") for each in made)
    )


def word_forms(draw: Draw) -> Drill:
    """Words as they stand within a text, and then at its start, in capitals, in letters, backwards.

    To the tokenizer these are different tokens, and which belong together must be learned word by word. Which words are
    reversed in a score stays secret here too.
    """
    lines = []
    for _ in range(_NUM_WORDS):
        word = draw.pick(WORDS)
        forms = [word, word.upper(), word.title(), "-".join(word)]
        if not draw.is_other_side("reversed", word):
            forms.append(word[::-1])
        lines.append((f" {word}", "\n" + "\n".join(forms)))
    return Drill(skill=SKILL, lines=tuple(lines))
