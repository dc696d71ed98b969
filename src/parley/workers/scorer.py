"""Log-probabilities of a prompt's own tokens: one pass over the prompt with all logits kept, beside the running server.

The weights are mapped once more and so shared; the context is as large as the prompt, kept for the next prompt that fits,
and given back after a while without one.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parley.workers.libllama import Batch, LibLlama

# Logits that are kept at a time, in numbers of 4 bytes.
_MAX_LOGITS = 16 << 20
_CONTEXT_STEP = 512

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

    def score(self, prompt: list[int], num_top: int, on_step: Callable[[], None]) -> tuple[Floats, Ints, Floats]:
        """Natural logarithms, for every token but the first: its own (n-1), the best ids and theirs (n-1, num_top).

        `on_step` is called before each forward pass and may raise Withdrawn.
        """
        model = self._check(prompt)
        context = self._open(model, len(prompt))
        memory = self._library.api.llama_get_memory(context)
        self._library.api.llama_memory_clear(memory, False)
        num_scored = len(prompt) - 1
        own = np.empty(num_scored, dtype=np.float32)
        top_ids = np.empty((num_scored, num_top), dtype=np.int32)
        top = np.empty((num_scored, num_top), dtype=np.float32)
        for start in range(0, num_scored, model.batch_tokens):
            on_step()
            end = min(start + model.batch_tokens, num_scored)
            logits = self._decode(model, context, prompt[start:end], start)
            chosen = np.asarray(prompt[start + 1 : end + 1])
            own[start:end], top_ids[start:end], top[start:end] = _log_probabilities(logits, chosen, num_top)
        return own, top_ids, top

    def pieces(self, token_ids: list[int]) -> list[bytes]:
        vocabulary = self._loaded().vocabulary
        return [self._library.piece(vocabulary, token_id) for token_id in token_ids]

    def render(self, token_ids: list[int]) -> bytes:
        """The bytes that the tokens write; control tokens write nothing."""
        vocabulary = self._check(token_ids).vocabulary
        return b"".join(self._library.piece(vocabulary, token_id, shows_control=False) for token_id in token_ids)

    def rest(self) -> None:
        """Give the context's memory back until the next prompt."""
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

    def _decode(self, model: _Model, context: int, tokens: list[int], start: int) -> Floats:
        batch = model.batch
        batch.n_tokens = len(tokens)
        for row, token_id in enumerate(tokens):
            batch.token[row], batch.pos[row] = token_id, start + row
            batch.n_seq_id[row], batch.seq_id[row][0], batch.logits[row] = 1, 0, 1
        status = self._library.api.llama_decode(context, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode answered {status}")
        logits = np.empty((len(tokens), model.num_tokens), dtype=np.float32)
        for row in range(len(tokens)):
            address = self._library.api.llama_get_logits_ith(context, row)
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
