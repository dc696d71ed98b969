"""A prompt's scores out of what the llama.cpp worker answers."""

import array
from collections.abc import Sequence

from parley.core.events import Alternative, ScoredToken
from parley.core.pieces import Pieces

_ITEM_BYTES = 4


def read_scores(raw: bytes, token_ids: Sequence[int], num_top: int, pieces: Pieces) -> list[ScoredToken]:
    """The worker's arrays (see `workers.llama`) as scored tokens."""
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
