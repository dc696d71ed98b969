"""Scores out of the arrays in which the llama.cpp worker says them."""

import array
from collections.abc import Sequence

from parley.core.events import Alternative, ScoredToken
from parley.core.pieces import Pieces

_ITEM_BYTES = 4


class ScoreReader:
    """Takes one scored token after another from the raw part of a step."""

    def __init__(self, raw: bytes, pieces: Pieces) -> None:
        self._raw = raw
        self._pieces = pieces
        self._position = 0

    def next(self, token_id: int, num_top: int) -> ScoredToken:
        """The next one: its own log-probability, the ids of the best, theirs."""
        start, self._position = self._position, self._position + (1 + 2 * num_top) * _ITEM_BYTES
        return read_scores(self._raw[start : self._position], [token_id], num_top, self._pieces)[0]


def read_scores(raw: bytes, token_ids: Sequence[int], num_top: int, pieces: Pieces) -> list[ScoredToken]:
    """A prompt's scores: the own log-probabilities of all, then the ids of each one's best, then theirs.

    Raises IndexError when there are fewer.
    """
    count = len(token_ids)
    own, top = array.array("f"), array.array("f")
    top_ids = array.array("i")
    best_start, best_end = count * _ITEM_BYTES, count * (1 + num_top) * _ITEM_BYTES
    own.frombytes(raw[:best_start])
    top_ids.frombytes(raw[best_start:best_end])
    top.frombytes(raw[best_end:])
    scored = []
    for row, token_id in enumerate(token_ids):
        best = range(row * num_top, (row + 1) * num_top)
        alternatives = tuple(Alternative(top_ids[i], pieces.piece(top_ids[i]), top[i]) for i in best)
        scored.append(ScoredToken(token_id, pieces.piece(token_id), own[row], alternatives))
    return scored
