"""What llama.cpp itself makes of a prompt with pictures: its own helper over its own tokens, in a process of its own.

    python -m tests.engines.mtmd_reference MODEL PROJECTOR < prompt

The prompt is a JSON list whose items are lists of token ids, or {"width", "height", "pixels"} with the pixels in base64. It
prints the log-probabilities of the next token.
"""

import base64
import ctypes
import json
import sys

import numpy as np

from parley.core.llama_library import library_path
from parley.workers.choice import log_probabilities
from parley.workers.libllama import Batch, ContextShape, LibLlama
from parley.workers.libmtmd import SIGNATURES, Projector

_Pointer = ctypes.c_void_p
_HELPERS = {
    "llama_batch_get_one": (Batch, (_Pointer, ctypes.c_int32)),
    "mtmd_helper_eval_chunks": (
        ctypes.c_int32,
        (_Pointer, _Pointer, _Pointer, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32, ctypes.c_bool, _Pointer),
    ),
}


def main() -> None:
    model_path, projector_path = sys.argv[1:]
    library = LibLlama(library_path(), {**SIGNATURES, **_HELPERS})
    api, model = library.api, library.load_model(model_path)
    shape = ContextShape(num_sequences=1, sequence_tokens=512, batch_tokens=512, num_threads=1)
    context = library.open_context(model, shape)
    projector = Projector(library, model, projector_path, num_threads=1)
    position = ctypes.c_int32(0)
    for part in json.load(sys.stdin):
        if isinstance(part, list):
            # Positions are counted on by the library itself, also behind a picture.
            ids = np.array(part, dtype=np.int32)
            places = np.arange(position.value, position.value + len(ids), dtype=np.int32)
            batch = api.llama_batch_get_one(ids.ctypes.data, len(ids))
            batch.pos = places.ctypes.data
            assert api.llama_decode(context, batch) == 0
            position.value += len(ids)
            continue
        pixels = base64.b64decode(part["pixels"])
        bitmap = api.mtmd_bitmap_init(part["width"], part["height"], pixels)
        chunks = api.mtmd_input_chunks_init()
        piece = (_Pointer * 2)(None, bitmap)
        pieces = (_Pointer * 1)(ctypes.addressof(piece))
        assert api.mtmd_tokenize_from_parts(projector._context, chunks, pieces, 1, False) == 0
        done = api.mtmd_helper_eval_chunks(
            projector._context,
            context,
            chunks,
            position.value,
            0,
            512,
            True,
            ctypes.addressof(position),
        )
        assert done == 0
    start = ctypes.cast(api.llama_get_logits(context), ctypes.POINTER(ctypes.c_float))
    num_tokens = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    row = np.ctypeslib.as_array(start, shape=(num_tokens,))
    print(json.dumps(log_probabilities(row).tolist()))


if __name__ == "__main__":
    main()
