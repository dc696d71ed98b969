"""A run on disk: the state to go on from, written so that a cut at any moment leaves the last whole one."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from training.model import Llama, ModelShape
from training.optimizer import Optimizer


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    num_tokens: int = 0
    trained_seconds: float = 0.0
    best_score: float = 0.0


def save(path: Path, model: Llama, optimizer: Optimizer | None, progress: Progress) -> None:
    """Writes a checkpoint in one move. Without an optimizer it can be exported but not continued."""
    state = {
        "shape": asdict(model.shape),
        "model": model.state_dict(),
        "optimizer": optimizer.state() if optimizer else None,
        "progress": asdict(progress),
    }
    unfinished = path.with_suffix(".tmp")
    torch.save(state, unfinished)
    unfinished.replace(path)


def load_model(path: Path) -> tuple[Llama, Progress]:
    """The model of a checkpoint and how far it had come."""
    state = _read(path)
    model = Llama(ModelShape(**state["shape"]))
    model.load_state_dict(state["model"])
    return model, Progress(**state["progress"])


def restore_optimizer(path: Path, optimizer: Optimizer) -> None:
    """Puts the optimizer where it stood when the checkpoint was written."""
    optimizer.restore(_read(path)["optimizer"])


def _read(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, map_location="cpu", weights_only=True))
