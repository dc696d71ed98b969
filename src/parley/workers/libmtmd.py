"""The part of the mtmd.h C API that we call, in the same shared object as llama.h: a projector, and what it makes of pictures."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from parley.core.llama_library import Unsupported
from parley.core.picture import Layout, Marks, Rows
from parley.workers.libllama import LibLlama, Signatures

_Pointer, _Int32, _Size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
_Bool = ctypes.c_bool
_TEXT, _PICTURE = 0, 1
# What a made-up picture is measured with when a projector is opened.
_USUAL_SIDE = 64


class _Parameters(ctypes.Structure):
    """mtmd_context_params."""

    _fields_ = (
        ("use_gpu", _Bool),
        ("device", _Pointer),
        ("print_timings", _Bool),
        ("n_threads", ctypes.c_int),
        ("image_marker", ctypes.c_char_p),
        ("media_marker", ctypes.c_char_p),
        ("flash_attn_type", ctypes.c_int),
        ("warmup", _Bool),
        ("image_min_tokens", ctypes.c_int),
        ("image_max_tokens", ctypes.c_int),
        ("cb_eval", _Pointer),
        ("cb_eval_user_data", _Pointer),
        ("batch_max_tokens", _Int32),
        ("progress_callback", _Pointer),
        ("progress_callback_user_data", _Pointer),
    )


# What the fields say by default, but for the addresses.
_DEFAULTS = {
    "use_gpu": True,
    "print_timings": True,
    "n_threads": 4,
    "media_marker": b"<__media__>",
    "flash_attn_type": -1,
    "warmup": True,
    "image_min_tokens": -1,
    "image_max_tokens": -1,
    "batch_max_tokens": 1024,
}


class _Part(ctypes.Structure):
    """mtmd_input_part: a text or a picture."""

    _fields_ = (("text", _Pointer), ("bitmap", _Pointer))


SIGNATURES: Signatures = {
    "mtmd_context_params_default": (_Parameters, ()),
    "mtmd_init_from_file": (_Pointer, (ctypes.c_char_p, _Pointer, _Parameters)),
    "mtmd_support_vision": (_Bool, (_Pointer,)),
    "mtmd_decode_use_non_causal": (_Bool, (_Pointer, _Pointer)),
    "mtmd_bitmap_init": (_Pointer, (ctypes.c_uint32, ctypes.c_uint32, ctypes.c_char_p)),
    "mtmd_bitmap_free": (None, (_Pointer,)),
    "mtmd_input_chunks_init": (_Pointer, ()),
    "mtmd_input_chunks_size": (_Size, (_Pointer,)),
    "mtmd_input_chunks_get": (_Pointer, (_Pointer, _Size)),
    "mtmd_input_chunks_free": (None, (_Pointer,)),
    "mtmd_tokenize_from_parts": (_Int32, (_Pointer, _Pointer, ctypes.POINTER(_Pointer), _Size, _Bool)),
    "mtmd_input_chunk_get_type": (ctypes.c_int, (_Pointer,)),
    "mtmd_input_chunk_get_n_tokens": (_Size, (_Pointer,)),
    "mtmd_input_chunk_get_n_pos": (_Int32, (_Pointer,)),
    "mtmd_input_chunk_get_tokens_text": (ctypes.POINTER(_Int32), (_Pointer, ctypes.POINTER(_Size))),
    "mtmd_input_chunk_get_tokens_image": (_Pointer, (_Pointer,)),
    "mtmd_helper_image_get_decoder_pos": (None, (_Pointer, _Int32, _Pointer)),
    "mtmd_encode_chunk": (_Int32, (_Pointer, _Pointer)),
    "mtmd_get_output_embd": (_Pointer, (_Pointer,)),
}


class Unreadable(Exception):
    """The projector makes nothing of this picture."""


class Projector:
    """A loaded projector beside the header and the vocabulary of the model that it sees for. Kept to the end of the process."""

    def __init__(self, library: LibLlama, model: int, path: str, *, num_threads: int) -> None:
        """`library` has the SIGNATURES, `model` needs no weights. Raises RuntimeError for a file that does not fit the
        model, Unsupported for one whose pictures we could not place in a prompt."""
        self._api = library.api
        self.row_width: int = self._api.llama_model_n_embd_inp(model)
        parameters = self._api.mtmd_context_params_default()
        if {name: getattr(parameters, name) for name in _DEFAULTS} != _DEFAULTS:
            raise Unsupported("other defaults in mtmd_context_params")
        parameters.use_gpu = parameters.print_timings = False
        parameters.n_threads = num_threads
        context = self._api.mtmd_init_from_file(os.fsencode(path), model, parameters)
        if not context:
            raise RuntimeError("llama.cpp could not load the projector, or it is not this model's")
        self._context = int(context)
        if not self._api.mtmd_support_vision(self._context):
            raise Unsupported("a projector that does not see")
        # What is wrong with its kind, or with the vocabulary, shows in any picture.
        self.lay_out(_USUAL_SIDE, _USUAL_SIDE)

    def lay_out(self, width: int, height: int) -> Layout:
        """What a picture of this size takes in a prompt. Raises Unreadable or Unsupported."""
        with self._chunks(width, height, None) as chunks:
            return [self._described(chunk) for chunk in chunks]

    def look(self, width: int, height: int, pixels: bytes, is_withdrawn: Callable[[], bool]) -> bytes | None:
        """The rows of a picture, 32-bit floats; None where nobody wants them any more. Raises Unreadable."""
        if len(pixels) != width * height * 3:
            raise Unreadable(f"{len(pixels)} bytes are not {width} times {height} pixels")
        parts: list[bytes] = []
        with self._chunks(width, height, pixels) as chunks:
            for chunk in chunks:
                if self._api.mtmd_input_chunk_get_type(chunk) != _PICTURE:
                    continue
                if is_withdrawn():
                    return None
                if self._api.mtmd_encode_chunk(self._context, chunk) != 0:
                    raise Unreadable("it could not be looked at")
                num_bytes = 4 * self.row_width * self._api.mtmd_input_chunk_get_n_tokens(chunk)
                parts.append(ctypes.string_at(self._api.mtmd_get_output_embd(self._context), num_bytes))
        return b"".join(parts)

    @contextmanager
    def _chunks(self, width: int, height: int, pixels: bytes | None) -> Iterator[list[int]]:
        """What mtmd makes of one picture: tokens and pictures in turns. Without pixels it can only be measured."""
        api = self._api
        bitmap, chunks = api.mtmd_bitmap_init(width, height, pixels), api.mtmd_input_chunks_init()
        try:
            part = _Part(None, bitmap)
            parts = (_Pointer * 1)(ctypes.addressof(part))
            status = api.mtmd_tokenize_from_parts(self._context, chunks, parts, 1, False)
            if status != 0:
                raise Unreadable(f"a picture of {width} times {height} pixels cannot be read (status {status})")
            yield [api.mtmd_input_chunks_get(chunks, index) for index in range(api.mtmd_input_chunks_size(chunks))]
        finally:
            api.mtmd_input_chunks_free(chunks)
            api.mtmd_bitmap_free(bitmap)

    def _described(self, chunk: int) -> Marks | Rows:
        kind, count = self._api.mtmd_input_chunk_get_type(chunk), self._api.mtmd_input_chunk_get_n_tokens(chunk)
        if kind == _TEXT:
            length = _Size()
            ids = tuple(self._api.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(length))[:count])
            if min(ids, default=0) < 0:
                raise Unsupported("the vocabulary lacks the tokens that stand around such a projector's pictures")
            return Marks(ids)
        if kind != _PICTURE:
            raise Unsupported("a projector that makes more than rows of a picture")
        places = np.zeros((count, 4), dtype=np.uint32)
        picture = self._api.mtmd_input_chunk_get_tokens_image(chunk)
        self._api.mtmd_helper_image_get_decoder_pos(picture, 0, places.ctypes.data)
        return Rows(
            count=count,
            num_positions=self._api.mtmd_input_chunk_get_n_pos(chunk),
            columns=_columns(places),
            is_causal=not self._api.mtmd_decode_use_non_causal(self._context, chunk),
        )


def _columns(places: "np.ndarray[tuple[int, int], np.dtype[np.uint32]]") -> int | None:
    """How many rows stand in a line, by their places (time, x, y, z) in a picture that begins at 0; None where one follows
    another. Raises Unsupported for every other arrangement."""
    numbers = np.arange(len(places))
    if (places[:, 0] == numbers).all() and (places[:, 1] == numbers).all():
        return None
    columns = int(places[:, 1].max()) + 1
    lines = np.stack([np.zeros_like(numbers), numbers % columns, numbers // columns, np.zeros_like(numbers)], axis=1)
    if not (places == lines).all():
        raise Unsupported("a projector whose rows are placed in a way that is not known here")
    return columns
