"""The probe model: 189 million random weights, made without any training library, the same on every machine.

It says nothing sensible and costs what a model of its size costs, which is all that a comparison of servers needs.
"""

from enum import StrEnum
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

NUM_LAYERS = 16
WIDTH = 1024
FEED_FORWARD = 2816
NUM_HEADS = 16
NUM_KV_HEADS = 4
VOCABULARY = 4096
CONTEXT_LENGTH = 512
SPREAD = 0.02
SEED = 2023
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
END_OF_TURN = SPECIAL.index("<|im_end|>")
# Token ids from here on are ordinary words: a prompt may hold any of them.
FIRST_WORD = len(SPECIAL) + 256
NUM_PARAMETERS = 2 * VOCABULARY * WIDTH + NUM_LAYERS * (
    2 * WIDTH * WIDTH + 2 * WIDTH * (WIDTH // NUM_HEADS * NUM_KV_HEADS) + 3 * WIDTH * FEED_FORWARD
)

_BLOCK = 32
_Q8_0 = np.dtype([("scale", "<f2"), ("values", "i1", (_BLOCK,))])


class Kind(StrEnum):
    """How a weight is kept: the same weights in a byte each, or as what they are rounded to in two."""

    Q8_0 = "q8_0"
    BF16 = "bf16"


_FILE_TYPES = {Kind.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0, Kind.BF16: gguf.LlamaFileType.MOSTLY_BF16}


def probe_model(folder: Path, *, context_length: int = CONTEXT_LENGTH, kind: Kind = Kind.Q8_0) -> Path:
    """The model's file in `folder`, made if it is not there."""
    path = folder / f"probe-{round(NUM_PARAMETERS / 1e6)}m-{context_length}-{kind}.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        _write(unfinished, context_length, kind)
        unfinished.rename(path)
    return path


def _write(path: Path, context_length: int, kind: Kind) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    _write_shape(writer, context_length)
    writer.add_file_type(_FILE_TYPES[kind])
    matrices = _Matrices(writer, kind)
    _write_vocabulary(writer)
    kv_width = WIDTH // NUM_HEADS * NUM_KV_HEADS
    matrices.add("token_embd.weight", VOCABULARY, WIDTH)
    matrices.add("output.weight", VOCABULARY, WIDTH)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    for layer in range(NUM_LAYERS):
        block = f"blk.{layer}."
        matrices.add(block + "attn_q.weight", WIDTH, WIDTH)
        matrices.add(block + "attn_k.weight", kv_width, WIDTH)
        matrices.add(block + "attn_v.weight", kv_width, WIDTH)
        matrices.add(block + "attn_output.weight", WIDTH, WIDTH)
        matrices.add(block + "ffn_gate.weight", FEED_FORWARD, WIDTH)
        matrices.add(block + "ffn_up.weight", FEED_FORWARD, WIDTH)
        matrices.add(block + "ffn_down.weight", WIDTH, FEED_FORWARD)
        writer.add_tensor(block + "attn_norm.weight", np.ones(WIDTH, dtype=np.float32))
        writer.add_tensor(block + "ffn_norm.weight", np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class _Matrices:
    """Random matrices, drawn directly as q8_0 blocks: one scale and 32 signed bytes each."""

    def __init__(self, writer: gguf.GGUFWriter, kind: Kind) -> None:
        self._writer = writer
        self._kind = kind
        self._random = np.random.default_rng(SEED)

    def add(self, name: str, rows: int, columns: int) -> None:
        blocks: NDArray[np.void] = np.empty((rows, columns // _BLOCK), dtype=_Q8_0)
        blocks["values"] = self._random.integers(-127, 128, size=(rows, columns // _BLOCK, _BLOCK), dtype=np.int8)
        # Even draws of -127..127 have a standard deviation of 73.3.
        blocks["scale"] = SPREAD / 73.3
        if self._kind is Kind.Q8_0:
            self._writer.add_tensor(name, blocks.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            return
        scales = blocks["scale"].astype(np.float32)[..., np.newaxis]
        values = (blocks["values"].astype(np.float32) * scales).reshape(rows, columns)
        rounded = gguf.quantize(values, gguf.GGMLQuantizationType.BF16)
        self._writer.add_tensor(name, rounded, raw_dtype=gguf.GGMLQuantizationType.BF16)


def _write_shape(writer: gguf.GGUFWriter, context_length: int) -> None:
    writer.add_name("probe")
    writer.add_context_length(context_length)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(NUM_LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(NUM_HEADS)
    writer.add_head_count_kv(NUM_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // NUM_HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(VOCABULARY)


def _write_vocabulary(writer: gguf.GGUFWriter) -> None:
    """Bytes, then made-up words of three letters; every word but the first few is out of reach of the tokenizer's merges."""
    letters = _byte_letters()
    words = [
        f"{a}{b}{c}"
        for a in "bcdfgklmnprstvz"
        for b in "aeiouy"
        for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRS"
    ]
    tokens = [*SPECIAL, *letters, *words[: VOCABULARY - FIRST_WORD]]
    types = [gguf.TokenType.CONTROL] * len(SPECIAL) + [gguf.TokenType.NORMAL] * (VOCABULARY - len(SPECIAL))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["b a", "ba a"])
    writer.add_bos_token_id(SPECIAL.index("<|endoftext|>"))
    writer.add_eos_token_id(END_OF_TURN)
    writer.add_add_bos_token(False)
    writer.add_chat_template(
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )


def _byte_letters() -> list[str]:
    """Byte-level BPE's stand-in for each byte, in the order of the bytes."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(hidden)) for byte in range(256)]
