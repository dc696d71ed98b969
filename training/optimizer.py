"""Muon for the matrices inside the blocks, AdamW for the rest; both follow one schedule."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from training.model import Llama

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by a few Newton-Schulz steps: all directions of a matrix learn alike."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is ever used here
        """One update of every matrix that has a gradient."""
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


class Optimizer:
    """Both optimisers as one, with rates scaled by the schedule."""

    def __init__(self, model: Llama, matrix_rate: float = 0.02, other_rate: float = 0.004) -> None:
        matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
        others = [p for p in model.parameters() if not any(p is matrix for matrix in matrices)]
        self._muon = Muon(matrices, matrix_rate)
        self._adam = torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.95), weight_decay=0.0)
        self._rates = (matrix_rate, other_rate)

    def step(self, scale: float) -> None:
        """Applies the gradients with the rates times `scale`, and clears them."""
        for optimizer, rate in zip((self._muon, self._adam), self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, object]]:
        """What a checkpoint keeps."""
        return [self._muon.state_dict(), self._adam.state_dict()]

    def restore(self, state: list[dict[str, object]]) -> None:
        """Goes on from a checkpoint."""
        self._muon.load_state_dict(state[0])
        self._adam.load_state_dict(state[1])


def schedule(progress: float, warm_up: float = 0.02, decay: float = 0.35) -> float:
    """Warm-up, plateau, then a straight way down to a fiftieth; `progress` runs from 0 to 1."""
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    if progress > 1 - decay:
        return max((1 - progress) / decay, 0.02)
    return 1.0
