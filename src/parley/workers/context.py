"""The model in memory: steps over several sequences at once, and what each sequence has read."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parley.core.picture import Rows
from parley.workers.libllama import Batch, ContextShape, LibLlama

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlaces:
    """Where some rows of a picture stand: `first` is the position of the whole picture, `offset` how many of its rows
    were read before these."""

    rows: Rows
    first: int
    offset: int = 0

    def positions(self, count: int, num_sections: int) -> Ints:
        """The positions of `count` rows: a line of numbers for each section."""
        numbers = np.arange(self.offset, self.offset + count, dtype=np.int32)
        columns = self.rows.columns
        if columns is None:
            return np.tile(self.first + numbers, (num_sections, 1)).astype(np.int32)
        # Time stands still in a picture; then come the line and the column, and a section that is not used.
        sections = (np.zeros_like(numbers), numbers // columns, numbers % columns)
        return np.stack([*(self.first + section for section in sections), np.zeros_like(numbers)])


class Context:
    """Weights and the memory of `shape.num_sequences` sequences, numbered from 0.

    Each has memory of its own, and not a share of one for all: a token is then compared with its own sequence alone, which
    was twice as fast at 32 sequences (docs/decisions/0009).
    """

    def __init__(self, library: LibLlama, path: str, shape: ContextShape) -> None:
        """Raises RuntimeError when the file cannot be loaded, Unsupported when this is not the build that we know."""
        self._api = library.api
        self.shape = shape
        model = library.load_model(path)
        self.vocabulary: int = self._api.llama_model_get_vocab(model)
        self.num_tokens: int = self._api.llama_vocab_n_tokens(self.vocabulary)
        # How many numbers a row of a picture has.
        self.row_width: int = self._api.llama_model_n_embd_inp(model)
        self._num_sections = library.num_position_sections(model)
        self._context = library.open_context(model, shape)
        self._memory = self._api.llama_get_memory(self._context)
        rows = shape.step_rows
        self._tokens = np.zeros(rows, dtype=np.int32)
        self._positions = np.zeros(rows, dtype=np.int32)
        self._sequences = np.zeros(rows, dtype=np.int32)
        self._has_logits = np.zeros(rows, dtype=np.int8)
        # Every token belongs to one sequence: its list of sequences is one number long.
        self._num_sequences = np.ones(rows, dtype=np.int32)
        step = self._sequences.itemsize
        self._lists = (self._sequences.ctypes.data + step * np.arange(rows)).astype(np.uint64)
        self._num_rows = 0
        self._num_outputs = 0

    def add(self, sequence: int, start: int, ids: npt.NDArray[np.int64], *, first_output: int) -> None:
        """Put tokens of one sequence, from position `start` on, into the next step; from the token with the number
        `first_output` among them on, their logits are kept."""
        rows = slice(self._num_rows, self._num_rows + len(ids))
        self._tokens[rows] = ids
        self._positions[rows] = np.arange(start, start + len(ids))
        self._sequences[rows] = sequence
        self._has_logits[rows] = np.arange(len(ids)) >= first_output
        self._num_rows += len(ids)
        self._num_outputs += max(len(ids) - first_output, 0)

    def add_last(self, sequences: Sequence[int], positions: Sequence[int], tokens: Sequence[int]) -> None:
        """Put one token of each of these sequences into the next step, and keep their logits."""
        rows = slice(self._num_rows, self._num_rows + len(tokens))
        self._sequences[rows], self._positions[rows], self._tokens[rows] = sequences, positions, tokens
        self._has_logits[rows] = 1
        self._num_rows += len(tokens)
        self._num_outputs += len(tokens)

    def decode(self) -> Floats:
        """Run the step. The kept logits in the order of `add`, a row for each; they are overwritten by the next step."""
        num_rows, self._num_rows = self._num_rows, 0
        num_outputs, self._num_outputs = self._num_outputs, 0
        self._run(num_rows, self._tokens.ctypes.data, None, self._positions)
        return self._logits(num_outputs)

    def decode_rows(self, sequence: int, embedded: Floats, places: RowPlaces, *, is_last: bool) -> Floats:
        """A step of its own for rows of a picture, at the end of a sequence; with `is_last`, the last one's logits."""
        count = len(embedded)
        self._sequences[:count] = sequence
        self._has_logits[:count] = 0
        self._has_logits[count - 1] = is_last
        positions = np.ascontiguousarray(places.positions(count, self._num_sections))
        if not places.rows.is_causal:
            self._api.llama_set_causal_attn(self._context, False)
        try:
            self._run(count, None, embedded.ctypes.data, positions)
        finally:
            if not places.rows.is_causal:
                self._api.llama_set_causal_attn(self._context, True)
        return self._logits(int(is_last))

    def _run(self, count: int, tokens: int | None, embedded: int | None, positions: Ints) -> None:
        batch = Batch(
            count,
            tokens,
            embedded,
            positions.ctypes.data,
            self._num_sequences.ctypes.data,
            self._lists.ctypes.data,
            self._has_logits.ctypes.data,
        )
        status = self._api.llama_decode(self._context, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode answered {status}")

    def _logits(self, num_outputs: int) -> Floats:
        if not num_outputs:
            return np.empty((0, self.num_tokens), dtype=np.float32)
        address = self._api.llama_get_logits(self._context)
        if not address:
            raise RuntimeError("llama.cpp kept no logits")
        start = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(start, shape=(num_outputs, self.num_tokens))

    def forget(self, sequence: int, start: int) -> bool:
        """Drop what a sequence has read from position `start` on; False, and nothing done, where a model cannot do that
        but as a whole."""
        return bool(self._api.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def copy(self, source: int, target: int) -> None:
        """Give `target` all that `source` has read, in place of its own."""
        self._api.llama_memory_seq_rm(self._memory, target, -1, -1)
        self._api.llama_memory_seq_cp(self._memory, source, target, -1, -1)
