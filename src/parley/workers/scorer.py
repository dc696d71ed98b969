"""Log-probabilities of a prompt's own tokens: one pass over the prompt with all logits kept, beside the running server.

The weights are mapped once more and so shared; the context is as large as the prompt, kept for the next prompt that fits,
and given back after a while without one.
"""

import ctypes
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parley.workers.libllama import Batch, LibLlama

# Logits that are kept at a time, in numbers of 4 bytes.
_MAX_LOGITS = 16 << 20
_CONTEXT_STEP = 512
# Ways to write the same bytes that are worth comparing.
_MAX_WAYS = 16

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Model:
    """The loaded weights and what is made once for them. `batch_tokens` is what one forward pass may read."""

    address: int
    vocabulary: int
    num_tokens: int
    batch_tokens: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Scores:
    """A row per scored token: its own log-probability, the best ids and theirs, best first."""

    own: Floats
    top_ids: Ints
    top: Floats


class Withdrawn(Exception):
    """Nobody waits for the scores any more."""


class Scorer:
    """Scores one prompt at a time. `batch_tokens` bounds one forward pass, and so how late a withdrawal is seen."""

    def __init__(self, library: LibLlama, path: str, *, num_threads: int, batch_tokens: int) -> None:
        self._library = library
        self._path = path
        self._num_threads = num_threads
        self._most_batch_tokens = batch_tokens
        # Loaded for the first question: most replicas are never asked one.
        self._model: _Model | None = None
        self._context: int | None = None
        self._context_tokens = 0
        # The tokens that the context has read.
        self._held: list[int] = []
        self._ids: dict[bytes, int] = {}

    def score(self, prompt: list[int], num_top: int, on_step: Callable[[], None], *, first: int = 1) -> Scores:
        """Natural logarithms for every token from `first` on, which is at least 1, in rows.

        `on_step` is called before each forward pass and may raise Withdrawn. What the context still holds of an earlier
        prompt with the same beginning is not read again.
        """
        model = self._check(prompt)
        context = self._open(model, len(prompt))
        done = min(_shared_length(self._held, prompt), first - 1)
        self._held = []
        memory = self._library.api.llama_get_memory(context)
        if not self._library.api.llama_memory_seq_rm(memory, 0, done, -1):
            raise RuntimeError("llama.cpp did not forget")
        num_rows = len(prompt) - first
        scores = Scores(
            own=np.empty(num_rows, dtype=np.float32),
            top_ids=np.empty((num_rows, num_top), dtype=np.int32),
            top=np.empty((num_rows, num_top), dtype=np.float32),
        )
        for start in range(done, len(prompt) - 1, model.batch_tokens):
            on_step()
            end = min(start + model.batch_tokens, len(prompt) - 1)
            # The logits at a position are of the token after it.
            wanted = max(start, first - 1)
            logits = self._decode(model, context, prompt[start:end], start, wanted)
            if wanted < end:
                rows = slice(wanted - first + 1, end - first + 1)
                chosen = np.asarray(prompt[wanted + 1 : end + 1])
                scores.own[rows], scores.top_ids[rows], scores.top[rows] = _log_probabilities(logits, chosen, num_top)
        self._held = prompt[:-1]
        return scores

    def recover(self, prefix: list[int], lost: bytes, count: int, on_step: Callable[[], None]) -> list[int] | None:
        """The `count` tokens after `prefix` that wrote `lost`: of all that could have, the most probable ones.

        None when no tokens could have, or more ways exist than are worth a look.
        """
        ways = list(itertools.islice(_ways(self._ids_by_piece(), lost, count), _MAX_WAYS + 1))
        if not ways or len(ways) > _MAX_WAYS:
            return None
        if len(ways) == 1:
            return ways[0]
        totals = [float(self.score([*prefix, *way], 0, on_step, first=len(prefix)).own.sum()) for way in ways]
        return ways[int(np.argmax(totals))]

    def _ids_by_piece(self) -> dict[bytes, int]:
        if not self._ids:
            vocabulary = self._loaded().vocabulary
            pieces = self._library.pieces(vocabulary)
            silent = set(self._library.silent_ids(vocabulary, pieces))
            self._ids = {piece: token_id for token_id, piece in enumerate(pieces) if piece and token_id not in silent}
        return self._ids

    def rest(self) -> None:
        """Give the context's memory back until the next prompt."""
        self._held = []
        if self._context is not None:
            self._library.api.llama_free(self._context)
            self._context = None

    def _check(self, token_ids: list[int]) -> _Model:
        """The model, once every id is known to be inside its vocabulary. Raises ValueError."""
        model = self._loaded()
        if not all(0 <= token_id < model.num_tokens for token_id in token_ids):
            raise ValueError("an id outside the vocabulary")
        return model

    def _loaded(self) -> _Model:
        if self._model is None:
            api = self._library.api
            address = self._library.load_model(self._path, vocabulary_only=False)
            vocabulary = api.llama_model_get_vocab(address)
            num_tokens = api.llama_vocab_n_tokens(vocabulary)
            batch_tokens = max(1, min(self._most_batch_tokens, _MAX_LOGITS // num_tokens))
            batch = api.llama_batch_init(batch_tokens, 0, 1)
            self._model = _Model(address, vocabulary, num_tokens, batch_tokens, batch)
        return self._model

    def _open(self, model: _Model, num_tokens: int) -> int:
        if self._context is None or self._context_tokens < num_tokens:
            self.rest()
            self._context_tokens = -(-num_tokens // _CONTEXT_STEP) * _CONTEXT_STEP
            self._context = self._library.open_context(
                model.address,
                num_tokens=self._context_tokens,
                num_batch=model.batch_tokens,
                num_threads=self._num_threads,
            )
        return self._context

    def _decode(self, model: _Model, context: int, tokens: list[int], start: int, wanted: int) -> Floats:
        """One forward pass from position `start` on; the logits from position `wanted` on."""
        batch = model.batch
        batch.n_tokens = len(tokens)
        for row, token_id in enumerate(tokens):
            batch.token[row], batch.pos[row] = token_id, start + row
            batch.n_seq_id[row], batch.seq_id[row][0], batch.logits[row] = 1, 0, int(start + row >= wanted)
        status = self._library.api.llama_decode(context, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode answered {status}")
        skipped = wanted - start
        logits = np.empty((max(len(tokens) - skipped, 0), model.num_tokens), dtype=np.float32)
        for row in range(len(logits)):
            address = self._library.api.llama_get_logits_ith(context, skipped + row)
            if not address:
                raise RuntimeError("llama.cpp kept no logits")
            ctypes.memmove(logits[row].ctypes.data, address, logits[row].nbytes)
        return logits


def _log_probabilities(logits: Floats, chosen: npt.NDArray[np.int64], num_top: int) -> tuple[Floats, Ints, Floats]:
    """Of the chosen tokens, and of the `num_top` best of each row, best first, equals by their id."""
    largest = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - largest).sum(axis=1, keepdims=True, dtype=np.float64)
    logits -= (largest + np.log(total)).astype(np.float32)
    rows = np.arange(len(logits))[:, None]
    if num_top:
        best = np.sort(np.argpartition(logits, -num_top, axis=1)[:, -num_top:], axis=1)
        order = np.argsort(-logits[rows, best], axis=1, kind="stable")
        best = best[rows, order]
    else:
        best = np.empty((len(logits), 0), dtype=np.int64)
    return logits[rows[:, 0], chosen], best.astype(np.int32), logits[rows, best]


def _shared_length(one: list[int], other: list[int]) -> int:
    for position, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return position
    return min(len(one), len(other))


def _ways(ids: dict[bytes, int], text: bytes, count: int) -> Iterator[list[int]]:
    """Every sequence of `count` tokens that writes `text`."""
    if count == 0:
        if not text:
            yield []
        return
    for length in range(1, len(text) - count + 2):
        token_id = ids.get(text[:length])
        if token_id is not None:
            yield from ([token_id, *rest] for rest in _ways(ids, text[length:], count - 1))
