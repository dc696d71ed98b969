"""The part of the llama.h C API that we call.

The layout of two structs is known only for one exact version, so three things are checked before anything is trusted:
the version (`llama_library`), the struct's default values, and (by the callers) what a call with changed values really did.
"""

import array
import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from parley.core.llama_library import Unsupported

_Int32 = ctypes.c_int32
_Pointer = ctypes.c_void_p
# 32-bit words at the start of llama_context_params: n_ctx, n_batch, n_ubatch, n_seq_max, ..., n_threads, n_threads_batch.
_CONTEXT_DEFAULTS = (512, 2048, 512, 1, 0, 0, 1, 4, 4, 0)
# Bytes 136..141 of it, its flags: embeddings, offload, no timings, offload of operations, full sliding windows, one cache
# for all sequences.
_CONTEXT_FLAGS_AT = 136
_CONTEXT_FLAGS = (0, 1, 1, 1, 1, 0)
# Bytes 16..31 of llama_model_params (layers on the GPU, split mode, load mode, lazy mode), then its flags from 72 on.
_MODEL_WORDS = (-1, 1, -1, 1)
_MODEL_WORDS_AT, _MODEL_FLAGS_AT = 16, 72
_MODEL_FLAGS = (0, 0, 1, 0, 0)
# The values of llama_load_mode, in the third word, and of the fifth flag: nothing of the weights is read.
_READ_NOTHING, _NO_WEIGHTS_FLAG = 0, 4
# The values of llama_rope_type under which each position has several numbers.
_MANIFOLD_ROPES = frozenset({8, 40})
# Where llama_model_params has the address of its overrides, an array that ends with an empty key; and the tag of a flag.
_OVERRIDES_AT, _FLAG_TAG = 64, 2
_SPACE_PREFIX = b"tokenizer.ggml.add_space_prefix"
# Bits of llama_token_attr.
ATTRIBUTE_UNKNOWN, ATTRIBUTE_CONTROL, ATTRIBUTE_USER_DEFINED = 1, 8, 16
ATTRIBUTE_STRIPS_BEFORE, ATTRIBUTE_STRIPS_BEHIND = 128, 256
# A value of llama_vocab_type.
SENTENCEPIECE = 1


class Batch(ctypes.Structure):
    """The tokens of one step; the arrays are the caller's."""

    _fields_ = (
        ("n_tokens", _Int32),
        ("token", _Pointer),
        ("embd", _Pointer),
        ("pos", _Pointer),
        ("n_seq_id", _Pointer),
        ("seq_id", _Pointer),
        ("logits", _Pointer),
    )


class _Override(ctypes.Structure):
    """A header's entry with another value than the file's; the value takes 128 bytes, whatever it is."""

    _fields_ = (("tag", _Int32), ("key", ctypes.c_char * 128), ("value", ctypes.c_uint64 * 16))


class _Opaque(ctypes.Structure):
    """A struct larger than the real one; by the calling convention both are passed on the stack."""

    _fields_ = (("bytes", ctypes.c_uint8 * 1024),)


# A call's name -> its result and its parameters.
Signatures = Mapping[str, tuple[object, tuple[object, ...]]]

_SIGNATURES: Signatures = {
    "llama_backend_init": (None, ()),
    "llama_model_default_params": (_Opaque, ()),
    "llama_context_default_params": (_Opaque, ()),
    "llama_model_load_from_file": (_Pointer, (ctypes.c_char_p, _Opaque)),
    "llama_init_from_model": (_Pointer, (_Pointer, _Opaque)),
    "llama_free": (None, (_Pointer,)),
    "llama_n_ctx_seq": (ctypes.c_uint32, (_Pointer,)),
    "llama_n_seq_max": (ctypes.c_uint32, (_Pointer,)),
    "llama_n_batch": (ctypes.c_uint32, (_Pointer,)),
    "llama_model_get_vocab": (_Pointer, (_Pointer,)),
    "llama_model_n_params": (ctypes.c_uint64, (_Pointer,)),
    "llama_model_n_embd_inp": (_Int32, (_Pointer,)),
    "llama_model_rope_type": (_Int32, (_Pointer,)),
    "llama_set_causal_attn": (None, (_Pointer, ctypes.c_bool)),
    "llama_vocab_n_tokens": (_Int32, (_Pointer,)),
    "llama_vocab_type": (_Int32, (_Pointer,)),
    "llama_vocab_get_text": (ctypes.c_char_p, (_Pointer, _Int32)),
    "llama_vocab_get_attr": (_Int32, (_Pointer, _Int32)),
    "llama_vocab_is_eog": (ctypes.c_bool, (_Pointer, _Int32)),
    "llama_vocab_get_add_bos": (ctypes.c_bool, (_Pointer,)),
    "llama_vocab_bos": (_Int32, (_Pointer,)),
    "llama_vocab_fim_pre": (_Int32, (_Pointer,)),
    "llama_vocab_fim_suf": (_Int32, (_Pointer,)),
    "llama_vocab_fim_mid": (_Int32, (_Pointer,)),
    "llama_token_to_piece": (_Int32, (_Pointer, _Int32, ctypes.c_char_p, _Int32, _Int32, ctypes.c_bool)),
    "llama_tokenize": (_Int32, (_Pointer, ctypes.c_char_p, _Int32, _Pointer, _Int32, ctypes.c_bool, ctypes.c_bool)),
    "llama_decode": (_Int32, (_Pointer, Batch)),
    "llama_get_logits": (_Pointer, (_Pointer,)),
    "llama_get_memory": (_Pointer, (_Pointer,)),
    "llama_memory_seq_cp": (None, (_Pointer, _Int32, _Int32, _Int32, _Int32)),
    "llama_memory_seq_rm": (ctypes.c_bool, (_Pointer, _Int32, _Int32, _Int32)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextShape:
    """`batch_tokens` is the most that one step reads, but for rows of a picture that see each other: `picture_rows` of them."""

    num_sequences: int
    sequence_tokens: int
    batch_tokens: int
    num_threads: int
    picture_rows: int = 0

    @property
    def step_rows(self) -> int:
        """What any step may read."""
        return max(self.batch_tokens, self.picture_rows)


class LibLlama:
    """The loaded library with its calls typed. Raises Unsupported when it is not the one we know."""

    def __init__(self, path: Path, more: Signatures = MappingProxyType({})) -> None:
        """`path` as `library_path` gives it; `more` are calls to type besides those that everybody needs."""
        try:
            self.api = ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError as error:
            raise Unsupported(f"the library of llama.cpp cannot be loaded: {error}") from error
        for name, (result, parameters) in (*_SIGNATURES.items(), *more.items()):
            call = getattr(self.api, name, None)
            if call is None:
                raise Unsupported(f"no {name}")
            call.restype, call.argtypes = result, parameters
        self.api.llama_backend_init()

    def load_model(
        self, path: str, *, vocabulary_only: bool = False, has_weights: bool = True, puts_space: bool = True
    ) -> int:
        """A model's address, never freed before the process ends. Raises RuntimeError; the reason is on stderr.

        With its vocabulary only, nothing else is known of it; without weights, all that its header says. Unless it
        `puts_space`, no text gets the space before it that SentencePiece's vocabularies ask for.
        """
        params = self.api.llama_model_default_params()
        words = (_Int32 * len(_MODEL_WORDS)).from_buffer(params, _MODEL_WORDS_AT)
        flags = (ctypes.c_uint8 * len(_MODEL_FLAGS)).from_buffer(params, _MODEL_FLAGS_AT)
        if tuple(words) != _MODEL_WORDS or tuple(flags) != _MODEL_FLAGS:
            raise Unsupported("other defaults in llama_model_params")
        flags[0] = vocabulary_only
        if not has_weights:
            words[2], flags[_NO_WEIGHTS_FLAG] = _READ_NOTHING, True
        overrides = (_Override * 2)()
        if not puts_space:
            address = ctypes.c_void_p.from_buffer(params, _OVERRIDES_AT)
            if address.value is not None:
                raise Unsupported("other defaults in llama_model_params")
            overrides[0].tag, overrides[0].key = _FLAG_TAG, _SPACE_PREFIX
            address.value = ctypes.addressof(overrides)
        model = self.api.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            raise RuntimeError("llama.cpp could not load the file")
        return int(model)

    def open_context(self, model: int, shape: ContextShape) -> int:
        """A context with room for every sequence to grow to its full length beside the others; everything about positions
        comes from the model. Kept to the end of the process."""
        params = self.api.llama_context_default_params()
        words = (ctypes.c_uint32 * len(_CONTEXT_DEFAULTS)).from_buffer(params)
        flags = (ctypes.c_uint8 * len(_CONTEXT_FLAGS)).from_buffer(params, _CONTEXT_FLAGS_AT)
        if tuple(words) != _CONTEXT_DEFAULTS or tuple(flags) != _CONTEXT_FLAGS:
            raise Unsupported("other defaults in llama_context_params")
        words[0] = shape.num_sequences * shape.sequence_tokens
        words[1] = words[2] = shape.step_rows
        words[3] = shape.num_sequences
        words[7] = words[8] = shape.num_threads
        context = self.api.llama_init_from_model(model, params)
        if not context:
            raise RuntimeError("llama.cpp could not open a context")
        got = self.api.llama_n_ctx_seq(context), self.api.llama_n_batch(context), self.api.llama_n_seq_max(context)
        if got[0] < shape.sequence_tokens or got[1] < shape.step_rows or got[2] != shape.num_sequences:
            raise Unsupported("a changed word of llama_context_params did not do what it should")
        return int(context)

    def num_position_sections(self, model: int) -> int:
        """How many numbers each position of a row of a picture has."""
        return 4 if self.api.llama_model_rope_type(model) in _MANIFOLD_ROPES else 1

    def piece(self, vocabulary: int, token_id: int, *, shows_control: bool = True) -> bytes:
        """A token's bytes; control tokens by their text, or as nothing."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self.api.llama_token_to_piece(vocabulary, token_id, buffer, size, 0, shows_control)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def pieces(self, vocabulary: int) -> list[bytes]:
        """The pieces of all tokens, by id."""
        return [self.piece(vocabulary, token_id) for token_id in range(self.api.llama_vocab_n_tokens(vocabulary))]

    def silent_ids(self, vocabulary: int, pieces: list[bytes]) -> list[int]:
        """Control tokens: those that have a text and write none of it."""
        return [t for t, piece in enumerate(pieces) if piece and not self.piece(vocabulary, t, shows_control=False)]

    def tokenize(self, vocabulary: int, text: bytes, *, is_control: bool) -> "array.array[int]":
        """The ids of `text`, without BOS. Special tokens in it are found only when it is control text."""
        # A token covers at least one byte; some vocabularies put a space in front.
        ids = array.array("i", bytes(4 * (len(text) + 8)))
        address, _ = ids.buffer_info()
        count = self.api.llama_tokenize(vocabulary, text, len(text), address, len(ids), False, is_control)
        if count < 0:
            raise RuntimeError(f"llama_tokenize answered {count}")
        del ids[count:]
        return ids
