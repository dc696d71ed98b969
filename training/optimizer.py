"""Muon for the matrices inside the blocks, AdamW for the rest; both follow one schedule."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.model import Llama

_BETAS = (0.9, 0.95)
_DECAY = 0.1
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by a few Newton-Schulz steps: all directions of a matrix learn alike."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float, momentum: float = 0.95, decay: float = 0.1
    ) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # a closure is never given
        """One update of every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, group)

    def _update(self, matrix: Tensor, group: dict[str, float]) -> None:
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum: Tensor = state["momentum"]
        momentum.lerp_(matrix.grad, 1 - group["momentum"])
        direction = orthogonal(matrix.grad.lerp(momentum, group["momentum"]))
        matrix.mul_(1 - group["lr"] * group["decay"])
        matrix.add_(direction, alpha=-group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)


def orthogonal(matrix: Tensor, num_steps: int = 5) -> Tensor:
    """The nearest matrix whose singular values are all about one."""
    a, b, c = _NEWTON_SCHULZ
    x = matrix.bfloat16()
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(num_steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if is_tall else x).to(matrix.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Learning rates at the plateau, by kind of parameter.

    Queries and keys learn slowly and by AdamW: under Muon their products grow until attention is all or nothing.
    """

    matrices: float = 0.006
    queries_and_keys: float = 0.001
    others: float = 0.002


class Optimizer:
    """All optimisers as one, with rates scaled by the schedule."""

    def __init__(self, model: Llama, rates: Rates | None = None) -> None:
        rates = rates or Rates()
        looking, matrices, others = _divided(model)
        self._optimizers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, rates.matrices),
            torch.optim.AdamW(looking, lr=rates.queries_and_keys, betas=_BETAS, weight_decay=_DECAY),
            torch.optim.AdamW(others, lr=rates.others, betas=_BETAS, weight_decay=0.0),
        )
        self._rates = (rates.matrices, rates.queries_and_keys, rates.others)

    def step(self, scale: float) -> None:
        """Applies the gradients with the rates times `scale`, and clears them."""
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, object]]:
        """What a checkpoint keeps."""
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def restore(self, states: list[dict[str, object]]) -> None:
        """Goes on from a checkpoint."""
        for optimizer, state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def _divided(model: Llama) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Queries and keys, the blocks' other matrices, and the rest."""
    looking: list[nn.Parameter] = []
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if name.endswith((".query.weight", ".key.weight")):
            looking.append(parameter)
        elif name.startswith("blocks.") and parameter.ndim == 2:
            matrices.append(parameter)
        else:
            others.append(parameter)
    return looking, matrices, others


def schedule(progress: float, warm_up: float = 0.02, decay: float = 0.35) -> float:
    """Warm-up, plateau, then a straight way down to a fiftieth; `progress` runs from 0 to 1."""
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    if progress > 1 - decay:
        return max((1 - progress) / decay, 0.02)
    return 1.0
