"""Small random-weight projectors as GGUF files: what turns pictures into rows that a made Llama or Qwen2-VL model reads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.gguf_maker import (
    BOOL,
    FLOAT32,
    STRING,
    UINT32,
    array_field,
    file_bytes,
    scalar_field,
)

# What each kind writes around a picture; the vocabulary has to have it.
QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>")
GEMMA_MARKS = ("<start_of_image>", "<end_of_image>")
IDEFICS_MARKS = ("<fake_token_around_image>", "<global-img>", "\n\n")
IDEFICS_TILES = tuple(f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """Sizes of a projector. `kind` is what llama.cpp calls its sort; `text_width` is that of the model that reads."""

    kind: str = "qwen2vl_merger"
    text_width: int = 64
    width: int = 32
    num_heads: int = 2
    num_layers: int = 1
    image_size: int = 32
    patch_size: int = 8
    # Patches in each direction that become one row.
    merge: int = 2
    seed: int = 11
    # Where the picture is cut into tiles: the longest side that it is shrunk to.
    longest_side: int | None = None
    max_pixels: int | None = None
    # What the header says of it, where that is not its kind.
    claimed_kind: str | None = None
    can_see: bool = True


def projector_bytes(eye: Eye) -> bytes:
    """A whole GGUF file."""
    return file_bytes(_fields(eye), tensors_of(eye))


def write_projector(path: Path, eye: Eye | None = None) -> Path:
    """Write a projector and give its path back."""
    path.write_bytes(projector_bytes(eye or Eye()))
    return path


def _fields(eye: Eye) -> list[bytes]:
    fields = [
        scalar_field("general.architecture", STRING, "clip"),
        scalar_field("clip.has_vision_encoder", BOOL, eye.can_see),
        scalar_field("clip.projector_type", STRING, eye.claimed_kind or eye.kind),
        scalar_field("clip.use_gelu", BOOL, True),
        scalar_field("clip.vision.image_size", UINT32, eye.image_size),
        scalar_field("clip.vision.patch_size", UINT32, eye.patch_size),
        scalar_field("clip.vision.embedding_length", UINT32, eye.width),
        scalar_field("clip.vision.feed_forward_length", UINT32, 2 * eye.width),
        scalar_field("clip.vision.block_count", UINT32, eye.num_layers),
        scalar_field("clip.vision.attention.head_count", UINT32, eye.num_heads),
        scalar_field("clip.vision.attention.layer_norm_epsilon", FLOAT32, 1e-5),
        scalar_field("clip.vision.projection_dim", UINT32, eye.text_width),
        array_field("clip.vision.image_mean", FLOAT32, [0.5, 0.5, 0.5]),
        array_field("clip.vision.image_std", FLOAT32, [0.5, 0.5, 0.5]),
    ]
    if eye.kind in {"idefics3", "gemma3"}:
        fields.append(scalar_field("clip.vision.projector.scale_factor", UINT32, eye.merge))
    if eye.longest_side is not None:
        fields.append(scalar_field("clip.vision.preproc_image_size", UINT32, eye.longest_side))
    if eye.max_pixels is not None:
        fields.append(scalar_field("clip.vision.image_max_pixels", UINT32, eye.max_pixels))
    return fields


def tensors_of(eye: Eye) -> dict[str, np.ndarray]:
    """The weights, which follow from the seed."""
    random = np.random.default_rng(eye.seed)
    width, text = eye.width, eye.text_width

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    def linear(rows: int, columns: int) -> np.ndarray:
        return normal(rows, columns, scale=columns**-0.5)

    patch = (width, 3, eye.patch_size, eye.patch_size)
    tensors = {"v.patch_embd.weight": normal(*patch, scale=0.2)}
    for layer in range(eye.num_layers):
        block = f"v.blk.{layer}."
        for name in ("ln1", "ln2"):
            tensors[f"{block}{name}.weight"] = np.ones(width, dtype=np.float32)
            tensors[f"{block}{name}.bias"] = normal(width, scale=0.1)
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            tensors[f"{block}{name}.weight"] = linear(width, width)
            tensors[f"{block}{name}.bias"] = normal(width, scale=0.1)
        tensors[block + "ffn_up.weight"] = linear(2 * width, width)
        tensors[block + "ffn_down.weight"] = linear(width, 2 * width)
    tensors["v.post_ln.weight"] = np.ones(width, dtype=np.float32)
    tensors["v.post_ln.bias"] = normal(width, scale=0.1)
    if eye.kind != "qwen2vl_merger":
        num_patches = (eye.image_size // eye.patch_size) ** 2
        tensors["v.position_embd.weight"] = normal(num_patches + (eye.kind == "mlp"), width, scale=0.5)
    return tensors | _HEADS[eye.kind](eye, linear, normal, text)


def _qwen_head(
    eye: Eye, linear: Callable[..., np.ndarray], normal: Callable[..., np.ndarray], text: int
) -> dict[str, np.ndarray]:
    merged = eye.width * eye.merge**2
    return {
        "v.patch_embd.weight.1": normal(eye.width, 3, eye.patch_size, eye.patch_size, scale=0.2),
        "mm.0.weight": linear(merged, merged),
        "mm.0.bias": normal(merged, scale=0.1),
        "mm.2.weight": linear(text, merged) * 8,
        "mm.2.bias": normal(text, scale=0.1),
    }


def _llava_head(
    eye: Eye, linear: Callable[..., np.ndarray], normal: Callable[..., np.ndarray], text: int
) -> dict[str, np.ndarray]:
    return {
        "v.class_embd": normal(eye.width),
        "v.pre_ln.weight": np.ones(eye.width, dtype=np.float32),
        "v.pre_ln.bias": normal(eye.width, scale=0.1),
        "mm.0.weight": linear(text, eye.width) * 4,
        "mm.0.bias": normal(text, scale=0.1),
        "mm.2.weight": linear(text, text) * 4,
        "mm.2.bias": normal(text, scale=0.1),
    }


def _idefics_head(
    eye: Eye, linear: Callable[..., np.ndarray], normal: Callable[..., np.ndarray], text: int
) -> dict[str, np.ndarray]:
    return {"mm.model.fc.weight": linear(text, eye.width * eye.merge**2) * 8}


def _gemma_head(
    eye: Eye, linear: Callable[..., np.ndarray], normal: Callable[..., np.ndarray], text: int
) -> dict[str, np.ndarray]:
    return {
        "mm.soft_emb_norm.weight": np.ones(eye.width, dtype=np.float32),
        "mm.input_projection.weight": linear(eye.width, text) * 8,
    }


_HEADS = {"qwen2vl_merger": _qwen_head, "mlp": _llava_head, "idefics3": _idefics_head, "gemma3": _gemma_head}
