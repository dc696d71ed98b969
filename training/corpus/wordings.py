"""Many wordings from few lines: `[a|b]` stands for either word, and a list of lines for all that they spell."""

import re
from itertools import product

_CHOICE = re.compile(r"\[([^\]]*)\]")
_MAY_BE_MISSING = "[|"


def wordings(*lines: str) -> tuple[str, ...]:
    """Every wording that `lines` spell, each once, in order: the first choices of the first line come first.

    What stands before a sentence may be missing, `[|Please ]say`: then the sentence has the capital letter.
    """
    return tuple(dict.fromkeys(wording for line in lines for wording in _spelled(line)))


def _spelled(line: str) -> list[str]:
    # What is split by a pattern with one group has plain text at even places and the choices at odd ones.
    parts = [part.split("|") if place % 2 else [part] for place, part in enumerate(_CHOICE.split(line))]
    spelled = ["".join(chosen) for chosen in product(*parts)]
    if line.startswith(_MAY_BE_MISSING):
        return [wording[0].upper() + wording[1:] for wording in spelled]
    return spelled
