"""Which token comes next: biases, penalties, temperature and top_p on one row of logits, exactly as OpenAI documents them."""

import random
import secrets
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from parley.core.requests import Sampling

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# What a bias of 100 adds: more than any two logits are apart, and still fine enough to keep several forced tokens apart.
_FORCED = 1000.0
# Weights that are added up together before one is looked for among them.
_BLOCK = 512


class Chooser:
    """Chooses the tokens of one sequence, by chances of its own: no neighbour in a step can change them."""

    def __init__(self, sampling: Sampling, *, index: int, num_tokens: int) -> None:
        """`index` is the sequence's among its round's; with a seed, it and nothing else makes them differ."""
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
        self._presence = sampling.presence_penalty
        self._frequency = sampling.frequency_penalty
        self._is_fined = bool(self._presence or self._frequency)
        biases = {t: bias for t, bias in sampling.logit_bias.items() if 0 <= t < num_tokens}
        self._bias_ids = np.fromiter(biases, dtype=np.int64, count=len(biases))
        self._biases = np.array([_bias(value) for value in biases.values()], dtype=np.float32)
        self._has_bans = bool(np.isneginf(self._biases).any())
        # The tokens generated so far and what each of them loses.
        self._places: dict[int, int] = {}
        self._fined_ids: Ints = np.empty(16 if self._is_fined else 0, dtype=np.int64)
        self._fines: Floats = np.empty(len(self._fined_ids), dtype=np.float32)
        seed = secrets.randbits(64) if sampling.seed is None else sampling.seed + index
        # A text, because for numbers a sign makes no difference.
        self._random = random.Random(str(seed))  # noqa: S311 - no secret depends on it

    def bend(self, row: Floats) -> None:
        """Put biases and penalties on a row of logits, in place. What a grammar rules out is -inf in it already: biases that
        would ban the last token that it leaves are not applied, so that its text comes to its end."""
        if len(self._bias_ids):
            before = row[self._bias_ids]
            row[self._bias_ids] += self._biases
            if self._has_bans and row.max() == -np.inf:
                row[self._bias_ids] = before
        if self._places:
            count = len(self._places)
            row[self._fined_ids[:count]] -= self._fines[:count]

    def choose(self, row: Floats) -> int:
        """The next token by a bent row, which is used up by it."""
        token_id = int(row.argmax()) if self._temperature == 0 else self._draw(row)
        if self._is_fined:
            self._fine(token_id)
        return token_id

    def _draw(self, row: Floats) -> int:
        row -= row.max()
        row /= self._temperature
        np.exp(row, out=row)
        return draw(row, self._top_p, self._random.random)

    def _fine(self, token_id: int) -> None:
        place = self._places.get(token_id)
        if place is not None:
            self._fines[place] += self._frequency
            return
        place = len(self._places)
        if place == len(self._fined_ids):
            self._fined_ids = np.concatenate((self._fined_ids, self._fined_ids))
            self._fines = np.concatenate((self._fines, self._fines))
        self._places[token_id] = place
        self._fined_ids[place], self._fines[place] = token_id, self._presence + self._frequency


def draw(weights: Floats, top_p: float, chance: Callable[[], float]) -> int:
    """A token by its weight, out of the fewest most probable that together have `top_p` of all weight (at least one).

    Draws from all, and again while that gives a token outside of those: this chooses as a draw from them alone would, and
    needs no sorting. What is known to lie outside is taken out of `weights` on the way. `chance` gives numbers from 0 to
    below 1.
    """
    wanted = top_p * float(weights.sum(dtype=np.float64))
    while True:
        token_id = _pick(weights, chance())
        if top_p >= 1:
            return token_id
        weight = weights[token_id]
        # Equals stand in the order of their ids.
        rank = int(np.count_nonzero(weights[:token_id] == weight))
        before = float((weights * (weights > weight)).sum(dtype=np.float64)) + rank * float(weight)
        if before < wanted or not before > 0:
            return token_id
        weights[weights < weight] = 0
        rest = weights[token_id:]
        rest[rest == weight] = 0


def log_probabilities(rows: Floats) -> Floats:
    """Natural logarithms over the full vocabulary, of logits row by row."""
    largest = rows.max(axis=-1, keepdims=True)
    total = np.exp(rows - largest).sum(axis=-1, keepdims=True, dtype=np.float64)
    result: Floats = rows - (largest + np.log(total)).astype(np.float32)
    return result


def best_of(rows: Floats, count: int) -> npt.NDArray[np.int32]:
    """The ids of the `count` most probable of each row, best first, equals by their id."""
    if not count:
        return np.empty((len(rows), 0), dtype=np.int32)
    best = np.sort(np.argpartition(rows, -count, axis=1)[:, -count:], axis=1)
    order = np.argsort(-np.take_along_axis(rows, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1).astype(np.int32)


def _pick(weights: Floats, chance: float) -> int:
    """The place of the weight in which `chance`, from 0 to below 1, of all of them lies. Never one that weighs nothing."""
    blocks = np.cumsum(np.add.reduceat(weights, np.arange(0, len(weights), _BLOCK), dtype=np.float64))
    target = chance * blocks[-1]
    block = min(int(np.searchsorted(blocks, target, side="right")), len(blocks) - 1)
    start = block * _BLOCK
    inside = np.cumsum(weights[start : start + _BLOCK], dtype=np.float64)
    place = start + int(np.searchsorted(inside, target - (blocks[block - 1] if block else 0.0), side="right"))
    # Two ways of adding differ in the last digit; a broken model's weights are no numbers.
    return place if place < start + len(inside) and weights[place] > 0 else int(weights.argmax())


def _bias(value: float) -> float:
    if value <= -100:
        return -np.inf
    return _FORCED if value >= 100 else value
