"""Which token comes next: biases, penalties, temperature and top_p on one row of logits, exactly as OpenAI documents them."""

import random
import secrets

import numpy as np
import numpy.typing as npt

from parley.core.requests import Sampling

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# What a bias of 100 adds: more than any two logits are apart, and still fine enough to keep several forced tokens apart.
_FORCED = 1000.0
# Below so many candidates, sorting costs less than another look at all of them.
_FEW = 1024


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
        # The tokens generated so far and what each of them loses.
        self._places: dict[int, int] = {}
        self._fined_ids: Ints = np.empty(16 if self._is_fined else 0, dtype=np.int64)
        self._fines: Floats = np.empty(len(self._fined_ids), dtype=np.float32)
        seed = secrets.randbits(64) if sampling.seed is None else sampling.seed + index
        # A text, because for numbers a sign makes no difference.
        self._random = random.Random(str(seed))  # noqa: S311 - no secret depends on it

    def bend(self, row: Floats) -> None:
        """Put biases and penalties on a row of logits, in place."""
        if len(self._bias_ids):
            row[self._bias_ids] += self._biases
        if self._places:
            count = len(self._places)
            row[self._fined_ids[:count]] -= self._fines[:count]

    def choose(self, row: Floats) -> int:
        """The next token by a bent row."""
        token_id = int(row.argmax()) if self._temperature == 0 else self._draw(row)
        if self._is_fined:
            self._fine(token_id)
        return token_id

    def _draw(self, row: Floats) -> int:
        weights = row - row.max()
        weights /= self._temperature
        np.exp(weights, out=weights)
        if self._top_p >= 1:
            return _pick(weights, self._random.random())
        ids = nucleus(weights, self._top_p)
        return int(ids[_pick(weights[ids], self._random.random())])

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


def nucleus(weights: Floats, top_p: float) -> Ints:
    """The fewest most probable tokens that together have `top_p` of all weight, at least one. The largest weight is 1."""
    total = float(weights.sum(dtype=np.float64))
    wanted = top_p * total
    # All that this leaves out have less than the rest of the weight together, so none of them is needed.
    ids: Ints = np.flatnonzero(weights >= min((1 - top_p) * total / len(weights), 1.0))
    taken: list[Ints] = []
    taken_weight = 0.0
    while len(ids) > _FEW:
        candidates = weights[ids]
        is_above = candidates > candidates.mean()
        weight_above = float(candidates[is_above].sum(dtype=np.float64))
        if not weight_above:
            break
        if taken_weight + weight_above >= wanted:
            ids = ids[is_above]
        else:
            taken.append(ids[is_above])
            taken_weight += weight_above
            ids = ids[~is_above]
    ids = ids[np.argsort(-weights[ids], kind="stable")]
    reached = taken_weight + np.cumsum(weights[ids], dtype=np.float64)
    taken.append(ids[: int(np.searchsorted(reached, wanted)) + 1])
    return np.concatenate(taken)


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
    """The place of the weight in which `chance`, from 0 to below 1, of all of them lies."""
    sums = np.cumsum(weights, dtype=np.float64)
    # The last place also for a broken model, whose weights are no numbers.
    return min(int(np.searchsorted(sums, chance * sums[-1], side="right")), len(weights) - 1)


def _bias(value: float) -> float:
    if value <= -100:
        return -np.inf
    return _FORCED if value >= 100 else value
