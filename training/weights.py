"""The model's tensors under the names and in the order that others read: published Llama weights, and GGUF."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.model import Llama

FloatArray = NDArray[np.float32]

_BLOCK_NAMES = (
    # ours, published Llama, GGUF
    ("attention.query", "self_attn.q_proj", "attn_q"),
    ("attention.key", "self_attn.k_proj", "attn_k"),
    ("attention.value", "self_attn.v_proj", "attn_v"),
    ("attention.output", "self_attn.o_proj", "attn_output"),
    ("feed_forward.gate", "mlp.gate_proj", "ffn_gate"),
    ("feed_forward.up", "mlp.up_proj", "ffn_up"),
    ("feed_forward.down", "mlp.down_proj", "ffn_down"),
    ("attention_norm", "input_layernorm", "attn_norm"),
    ("feed_forward_norm", "post_attention_layernorm", "ffn_norm"),
)


def published_tensors(model: Llama) -> Iterator[tuple[str, FloatArray]]:
    """Tensors as Hugging Face's Llama names them. The output layer is the embedding, so it has no tensor of its own."""
    tensors = _arrays(model)
    yield "model.embed_tokens.weight", tensors["embedding.weight"]
    yield "model.norm.weight", tensors["norm.weight"]
    for layer in range(model.shape.num_layers):
        for ours, published, _ in _BLOCK_NAMES:
            yield f"model.layers.{layer}.{published}.weight", tensors[f"blocks.{layer}.{ours}.weight"]


def gguf_tensors(model: Llama) -> Iterator[tuple[str, FloatArray]]:
    """Tensors as llama.cpp names them, query and key rows in its order."""
    shape = model.shape
    num_heads = {"attention.query": shape.num_heads, "attention.key": shape.num_kv_heads}
    tensors = _arrays(model)
    yield "token_embd.weight", tensors["embedding.weight"]
    yield "output_norm.weight", tensors["norm.weight"]
    for layer in range(shape.num_layers):
        for ours, _, gguf_name in _BLOCK_NAMES:
            tensor = tensors[f"blocks.{layer}.{ours}.weight"]
            if ours in num_heads:
                tensor = interleave_halves(tensor, num_heads[ours])
            yield f"blk.{layer}.{gguf_name}.weight", tensor


def interleave_halves(matrix: FloatArray, num_heads: int) -> FloatArray:
    """Rows reordered within each head: we turn number i with number i + half, llama.cpp's Llama turns neighbours."""
    rows, columns = matrix.shape
    halves = matrix.reshape(num_heads, 2, rows // num_heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


def _arrays(model: Llama) -> dict[str, FloatArray]:
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
