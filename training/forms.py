"""A first idea of how words are written, set up by hand before training.

To the model, "foot", " foot" and "Foot" are three tokens that have nothing to do with each other, and none of them is made of
letters. That is a lot to find out from a few million tokens. So the embeddings start with it: the forms of a word share a
part, a leading space and a capital letter are directions of their own, and each letter adds its own direction for its place.
A part is left to each token alone. Training is free to change all of it.
"""

from typing import TypeVar

import torch
from torch import Tensor

from training.model import Llama

Key = TypeVar("Key")

# How much of an embedding each part makes up at the start; the squares of a form's parts come to about one.
_WORD_SHARE = 0.6
_LETTERS_SHARE = 0.5
_MARK_SHARE = 0.35
_OWN_SHARE = 0.35
_LONGEST_WORD = 12


@torch.no_grad()
def start_forms(model: Llama, texts: list[str]) -> None:
    """Sets the embeddings of words and letters; `texts` are the tokens' texts by id. Other tokens stay as they are."""
    deviation = float(model.embedding.weight.std())
    width = model.shape.width
    words: dict[str, Tensor] = {}
    letters: dict[tuple[int, str], Tensor] = {}
    space, capital = torch.randn(2, width)
    for place, text in enumerate(texts):
        word = text.removeprefix(" ")
        if not (word.isascii() and word.isalpha() and len(word) <= _LONGEST_WORD):
            continue
        written = word.lower()
        spelled = torch.stack([_kept(letters, (at, letter), width) for at, letter in enumerate(written)])
        started = _WORD_SHARE * _kept(words, written, width) + _LETTERS_SHARE * spelled.sum(dim=0) / len(word) ** 0.5
        started += _MARK_SHARE * ((text != word) * space + (word != written) * capital)
        started += _OWN_SHARE * model.embedding.weight[place] / deviation
        model.embedding.weight[place] = deviation * started


def _kept(known: dict[Key, Tensor], key: Key, width: int) -> Tensor:
    if key not in known:
        known[key] = torch.randn(width)
    return known[key]
