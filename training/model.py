"""A small Llama: RMS norms, rotary positions, grouped-query attention, SwiGLU, tied embeddings. Plain PyTorch."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Everything that decides the tensors' shapes and how positions turn."""

    vocabulary_size: int
    width: int = 256
    num_layers: int = 6
    num_heads: int = 4
    num_kv_heads: int = 2
    hidden_width: int = 704
    context_length: int = 8192
    rope_base: float = 100_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """Numbers per attention head."""
        return self.width // self.num_heads


class KeyValueCache:
    """Keys and values of what a batch of sequences has read so far, one pair of tensors per layer."""

    def __init__(self, num_layers: int) -> None:
        self._layers: list[tuple[Tensor, Tensor] | None] = [None] * num_layers

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of a layer, the new ones last."""
        seen = self._layers[layer]
        if seen is not None:
            keys = torch.cat([seen[0], keys], dim=2)
            values = torch.cat([seen[1], values], dim=2)
        self._layers[layer] = (keys, values)
        return keys, values


class Rotation:
    """Cosines and sines of rotary positions; halves of a head turn together, as in the published Llama weights."""

    def __init__(self, positions: Tensor, shape: ModelShape) -> None:
        steps = torch.arange(0, shape.head_width, 2, device=positions.device, dtype=torch.float32)
        angles = positions[..., None].float() * shape.rope_base ** (-steps / shape.head_width)
        angles = torch.cat([angles, angles], dim=-1).unsqueeze(1)
        self._cosine, self._sine = angles.cos(), angles.sin()

    def turn(self, heads: Tensor) -> Tensor:
        """`heads` (batch, head, position, number) turned by their positions."""
        first, second = heads.chunk(2, dim=-1)
        turned = torch.cat([-second, first], dim=-1)
        return heads * self._cosine.to(heads.dtype) + turned * self._sine.to(heads.dtype)


class Norm(nn.Module):
    """RMS norm in the input's own precision, whatever the weight is kept in."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self._epsilon = shape.norm_epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Scales each position to unit mean square."""
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self._epsilon)


# Up to this length plain matrix products beat the fused attention on a CPU, above all on the way back.
_FUSED_FROM = 512


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of (batch, head, position, number) tensors; without a mask it is causal."""
    length = query.shape[2]
    if mask is not None or length > _FUSED_FROM or query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
    later = torch.full((length, length), float("-inf"), dtype=query.dtype).triu(1)
    rows, keys, values = (heads.flatten(0, 1) for heads in (query * query.shape[3] ** -0.5, key, value))
    scores = torch.baddbmm(later.expand(rows.shape[0], -1, -1), rows, keys.transpose(1, 2))
    return (scores.softmax(dim=-1).to(values.dtype) @ values).view_as(query)


class Attention(nn.Module):
    """Causal attention in which several query heads share one key head."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self._shape = shape
        kv_width = shape.num_kv_heads * shape.head_width
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, kv_width, bias=False)
        self.value = nn.Linear(shape.width, kv_width, bias=False)
        self.output = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, rotation: Rotation, mask: Tensor | None, memory: "LayerMemory | None") -> Tensor:
        """Mixes positions. Without a mask every position sees itself and what is before it."""
        shape = self._shape
        batch, length, _ = x.shape
        query = rotation.turn(self.query(x).view(batch, length, shape.num_heads, -1).transpose(1, 2))
        key = rotation.turn(self.key(x).view(batch, length, shape.num_kv_heads, -1).transpose(1, 2))
        value = self.value(x).view(batch, length, shape.num_kv_heads, -1).transpose(1, 2)
        if memory is not None:
            key, value = memory.cache.extend(memory.layer, key, value)
        group = shape.num_heads // shape.num_kv_heads
        key = key.repeat_interleave(group, dim=1)
        value = value.repeat_interleave(group, dim=1)
        mixed = attend(query, key, value, mask)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, shape.width))


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """One layer's place in a key and value cache."""

    cache: KeyValueCache
    layer: int


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.hidden_width, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden_width, bias=False)
        self.down = nn.Linear(shape.hidden_width, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transforms each position by itself."""
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a residual path."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.attention_norm = Norm(shape)
        self.attention = Attention(shape)
        self.feed_forward_norm = Norm(shape)
        self.feed_forward = FeedForward(shape)

    def forward(self, x: Tensor, rotation: Rotation, mask: Tensor | None, memory: LayerMemory | None) -> Tensor:
        """One layer."""
        x = x + self.attention(self.attention_norm(x), rotation, mask, memory)
        return x + self.feed_forward(self.feed_forward_norm(x))


_MATRIX_DEVIATION = 0.02
_EMBEDDING_DEVIATION = 0.25


class Llama(nn.Module):
    """Token ids to hidden states; `logits` turns hidden states into scores over the vocabulary."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary_size, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.norm = Norm(shape)
        self._initialise()

    def forward(
        self, ids: Tensor, positions: Tensor, mask: Tensor | None = None, cache: KeyValueCache | None = None
    ) -> Tensor:
        """Hidden states of `ids` (batch, length) at `positions` (batch, length)."""
        rotation = Rotation(positions, self.shape)
        x = self.embedding(ids)
        if torch.is_autocast_enabled(ids.device.type):
            # The residual path in half precision too: on a CPU these sums cost as much as the matrices.
            x = x.to(torch.get_autocast_dtype(ids.device.type))
        for layer, block in enumerate(self.blocks):
            x = block(x, rotation, mask, LayerMemory(cache, layer) if cache is not None else None)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary; the embedding's own matrix, used backwards."""
        return functional.linear(hidden, self.embedding.weight)

    def num_parameters(self) -> int:
        """Trained numbers, the shared matrix once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=_MATRIX_DEVIATION)
        for block in self.blocks:
            # Every block starts as a bare residual path, so what a token is stays readable through all of them.
            nn.init.zeros_(block.attention.output.weight)
            nn.init.zeros_(block.feed_forward.down.weight)
        # Large embeddings keep the token's identity above what the blocks add; the last norm brings the scores back to one.
        nn.init.normal_(self.embedding.weight, std=_EMBEDDING_DEVIATION)
        nn.init.constant_(self.norm.weight, _EMBEDDING_DEVIATION)
