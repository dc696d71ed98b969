"""What a run says while it goes: a progress line, `log.tsv` for the curve, `log.txt` for people."""

from datetime import UTC, datetime
from pathlib import Path

from training.checkpoint import Progress

DEFAULT_RUN_DIR = Path("training/runs/parley-mini")
_STEPS_PER_LINE = 50


class RunLog:
    """Appends to the run's log files; both survive a cut."""

    def __init__(self, run_dir: Path) -> None:
        self._text = run_dir / "log.txt"
        self._curve = run_dir / "log.tsv"
        self._losses: list[float] = []

    def note(self, line: str) -> None:
        """A line for people, shown and kept."""
        stamped = f"{datetime.now(UTC):%H:%M:%S} {line}"
        print(stamped, flush=True)
        with self._text.open("a") as file:
            file.write(stamped + "\n")

    def step(self, progress: Progress, loss: float, budget_seconds: float) -> None:
        """Counts a step in; every few of them become a line."""
        self._losses.append(loss)
        if len(self._losses) < _STEPS_PER_LINE:
            return
        mean = sum(self._losses) / len(self._losses)
        self._losses.clear()
        with self._curve.open("a") as file:
            file.write(f"{progress.step}\t{progress.num_tokens}\t{progress.trained_seconds:.0f}\t{mean:.4f}\n")
        done = progress.trained_seconds / budget_seconds
        speed = progress.num_tokens / progress.trained_seconds
        self.note(
            f"{done:6.1%} step {progress.step} loss {mean:.4f} {progress.num_tokens / 1e6:.2f} M tokens {speed:.0f}/s"
        )

    def scores(self, progress: Progress, scores: dict[str, float]) -> None:
        """The held-out scores of one evaluation."""
        table = " ".join(f"{skill} {score:.0%}" for skill, score in sorted(scores.items()))
        self.note(f"scores at step {progress.step}: mean {sum(scores.values()) / len(scores):.1%}: {table}")
