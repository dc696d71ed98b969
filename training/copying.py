"""A first step towards copying, set up by hand before training.

To copy, a model must find where the present token stood before and take what came after it. Two heads do that: one in the
first layer passes each place its neighbour's token, one in the second looks for a place whose neighbour equals the present
token. A model this small, fed a few million tokens, finds that pair late or never, so it starts with one. Training is free
to change it like any other weight.
"""

import math

import torch
from torch import Tensor, nn

from training.model import Attention, Llama

# Number 0 of every embedding: the one thing that all tokens share. It adds the same to every score, and so to none.
_SHARED_NUMBER = 1.0
# The quickest turning pairs tell neighbours apart; the strength makes the nearest one stand out.
_NUM_QUICK_PAIRS = 4
_LOOKING_STRENGTH = 1.5
# From this pair on, positions hardly turn within a row: these pairs compare tokens wherever they stand.
_FIRST_SLOW_PAIR = 12
_MATCHING_STRENGTH = 1.8
_PASSED_ON = 0.6
_COPIED = 2.0


@torch.no_grad()
def start_copying(model: Llama) -> None:
    """Sets the first heads of the first two layers."""
    width = model.shape.head_width
    seen, written, content = (_directions(width, model.shape.width) for _ in range(3))
    model.embedding.weight[:, 0] = _SHARED_NUMBER
    first, second = (block.attention for block in list(model.blocks)[:2])
    _look_back(first, model)
    first.value.weight[:width] = seen
    first.output.weight[:, :width] = _PASSED_ON * written.T
    slow = _slow_rows(width)
    second.query.weight[:width] = 0
    second.key.weight[:width] = 0
    second.query.weight[slow] = _MATCHING_STRENGTH * seen[: len(slow)]
    second.key.weight[slow] = _MATCHING_STRENGTH * written[: len(slow)]
    second.value.weight[:width] = content
    second.output.weight[:, :width] = _COPIED * content.T


def _look_back(attention: Attention, model: Llama) -> None:
    """The first head attends to the token before: the query is turned one place back against the key."""
    half = model.shape.head_width // 2
    for pair in range(_NUM_QUICK_PAIRS):
        turn = model.shape.rope_base ** (-pair / half)
        attention.key.weight[pair, 0] = _LOOKING_STRENGTH
        attention.query.weight[pair, 0] = _LOOKING_STRENGTH * math.cos(turn)
        attention.query.weight[pair + half, 0] = -_LOOKING_STRENGTH * math.sin(turn)


def _directions(count: int, width: int) -> Tensor:
    """Random directions at right angles that leave out the shared number."""
    directions = torch.zeros(count, width)
    nn.init.orthogonal_(directions[:, 1:])
    return directions


def _slow_rows(head_width: int) -> list[int]:
    half = head_width // 2
    return [*range(_FIRST_SLOW_PAIR, half), *range(half + _FIRST_SLOW_PAIR, head_width)]
