"""Trains the test model of speech: `python -m training.speech.train --run-dir DIR`. It goes on from its last checkpoint."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch
from torch.nn import Parameter
from transformers import WhisperForConditionalGeneration

from training.optimizer import Muon, schedule
from training.speech.loss import Vocabulary, loss_of
from training.speech.model import new_model
from training.speech.run_folder import DEFAULT_RUN_DIR, LAST, ready_pool, ready_tokenizer
from training.speech.voices import SAMPLE_RATE
from training.speech.windows import WINDOW_SECONDS, Window, WindowMaker
from training.stopwatch import Stopwatch

# Rates at the plateau. Queries and keys learn slowly and by AdamW, as in the chat model.
_MATRIX_RATE = 0.006
_RATE = 1.2e-3
_LARGEST_GRADIENT = 1.0
_STEPS_PER_LINE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Until this share of the budget: how long windows are, how much sound a batch has, and how many sentences a window."""

    until_share: float
    seconds: float
    most_sentences: int
    windows: int
    # Whisper always reads 30 seconds, the rest of them empty; short windows are a shortcut of the early phases.
    is_padded: bool = False


_PHASES = (
    Phase(until_share=0.35, seconds=4.0, most_sentences=1, windows=32),
    Phase(until_share=0.55, seconds=8.0, most_sentences=4, windows=16),
    Phase(until_share=1.0, seconds=WINDOW_SECONDS, most_sentences=15, windows=6, is_padded=True),
)


@dataclass(slots=True)
class Progress:
    """How far a run has come. Times are seconds of training."""

    step: int = 0
    num_windows: int = 0
    sound_seconds: float = 0.0
    trained_seconds: float = 0.0


class Trainer:
    """One run in its folder: model, optimizer, progress, log."""

    def __init__(self, run_dir: Path, budget_seconds: float) -> None:
        self._run_dir = run_dir
        self._budget_seconds = budget_seconds
        self._pool = ready_pool(run_dir)
        self._tokenizer = ready_tokenizer(run_dir)
        self._vocabulary = Vocabulary()
        torch.manual_seed(0)
        self._model = new_model()
        matrices, others = _divided(self._model)
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            "matrices": Muon(matrices, _MATRIX_RATE),
            "others": torch.optim.AdamW(others, lr=_RATE, betas=(0.9, 0.98), weight_decay=0.01),
        }
        self._progress = Progress()
        self._losses: list[float] = []
        last = run_dir / LAST
        if last.exists():
            state = torch.load(last, weights_only=True)
            self._model.load_state_dict(state["model"])
            for name, optimizer in self._optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self._progress = Progress(**state["progress"])

    def run(self) -> None:
        """Train until the budget is spent."""
        num_parameters = sum(each.numel() for each in self._model.parameters())
        self._note(f"{num_parameters} parameters, step {self._progress.step}, budget {self._budget_seconds:.0f} s")
        for phase in _PHASES:
            until = phase.until_share * self._budget_seconds
            if self._progress.trained_seconds < until:
                self._train(phase, until)
        self._save()

    def _train(self, phase: Phase, until_seconds: float) -> None:
        # A resumed run must not meet the same windows again: the step is part of the seed.
        random = Random(1 + self._progress.step)
        maker = WindowMaker(self._pool, self._tokenizer, seconds=phase.seconds, most_sentences=phase.most_sentences)
        windows = maker.windows(random)
        saved_at = self._progress.trained_seconds
        stopwatch = Stopwatch()
        while self._progress.trained_seconds < until_seconds:
            batch = _taken(windows, phase.windows)
            self._losses.append(self._step(batch, phase))
            self._progress.step += 1
            self._progress.num_windows += len(batch)
            self._progress.sound_seconds += sum(len(window.sound) for window in batch) / SAMPLE_RATE
            self._progress.trained_seconds += stopwatch.lap()
            self._tell()
            if self._progress.trained_seconds - saved_at > 60:
                self._save()
                saved_at = self._progress.trained_seconds

    def _step(self, batch: list[Window], phase: Phase) -> float:
        loss = loss_of(self._model, batch, self._vocabulary, is_padded=phase.is_padded)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), _LARGEST_GRADIENT)
        share = schedule(self._progress.trained_seconds / self._budget_seconds)
        for name, rate in (("matrices", _MATRIX_RATE), ("others", _RATE)):
            for group in self._optimizers[name].param_groups:
                group["lr"] = rate * share
            self._optimizers[name].step()
            self._optimizers[name].zero_grad(set_to_none=True)
        return loss.item()

    def _tell(self) -> None:
        if len(self._losses) < _STEPS_PER_LINE:
            return
        progress, mean = self._progress, sum(self._losses) / len(self._losses)
        self._losses.clear()
        with (self._run_dir / "log.tsv").open("a") as file:
            file.write(f"{progress.step}\t{progress.sound_seconds:.0f}\t{progress.trained_seconds:.0f}\t{mean:.4f}\n")
        self._note(
            f"{progress.trained_seconds / self._budget_seconds:6.1%} step {progress.step} loss {mean:.4f} "
            f"{progress.sound_seconds / 3600:.2f} h heard"
        )

    def _note(self, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}", flush=True)

    def _save(self) -> None:
        state = {
            "model": self._model.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "progress": asdict(self._progress),
        }
        unfinished = self._run_dir / "last.tmp"
        torch.save(state, unfinished)
        unfinished.replace(self._run_dir / LAST)


def _divided(model: WhisperForConditionalGeneration) -> tuple[list[Parameter], list[Parameter]]:
    """The matrices inside the blocks but queries and keys, and all the rest that learns."""
    matrices: list[Parameter] = []
    others: list[Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_looking = "q_proj" in name or "k_proj" in name
            is_matrix = ".layers." in name and parameter.ndim == 2 and not is_looking
            (matrices if is_matrix else others).append(parameter)
    return matrices, others


def _taken(windows: Iterator[Window], count: int) -> list[Window]:
    return [next(windows) for _ in range(count)]


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train the test model of speech, or go on training it.")
    parser.add_argument("--run-dir", type=Path, default=DEFAULT_RUN_DIR)
    parser.add_argument("--minutes", type=float, default=120, help="training time in all, resumed parts included")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.run_dir.mkdir(parents=True, exist_ok=True)
    (options.run_dir / "plan.json").write_text(json.dumps({"minutes": options.minutes}))
    Trainer(options.run_dir, options.minutes * 60).run()


if __name__ == "__main__":
    main(sys.argv[1:])
