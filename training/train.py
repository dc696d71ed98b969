"""The training loop: `python -m training.train --run-dir DIR`. It goes on from the last checkpoint in DIR."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

from training import checkpoint, tokenizer
from training.checkpoint import Progress
from training.copying import start_copying
from training.corpus.draw import Side
from training.corpus.registry import samples
from training.corpus.words import WORDS
from training.export import Precision, write_gguf
from training.forms import start_forms
from training.model import Llama, ModelShape
from training.optimizer import Optimizer, schedule
from training.parallel import ALONE, Peers, run_together
from training.rows import Batch, Packing, batches
from training.run_log import DEFAULT_RUN_DIR, RunLog
from training.samples import layout
from training.score import score_all
from training.stopwatch import Stopwatch

_TOKENIZER_SAMPLES = 40_000
_FORM_COUNT = 400
# Each phase ends at a share of the budget: drill in copying first, long conversations last. The batches are those of one
# process: small ones first, because many steps bring more than large ones, and large ones when the rate comes down.
_PHASES = (
    (0.2, Packing(longest_row=256, joined_share=0.03, batch_tokens=2048, primer_share=0.2)),
    (0.88, Packing(longest_row=384, joined_share=0.08, batch_tokens=2048, primer_share=0.1)),
    (1.0, Packing(longest_row=2048, joined_share=0.6, batch_tokens=4096, primer_share=0.05)),
)
_LARGEST_GRADIENT = 1.0
_IGNORED = -100
_SEEDS_PER_PROCESS = 1_000_000_000
# The learned places are filled up to a multiple of this: a new shape at every step would cost memory for ever.
_PLACES_STEP = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long a run trains and how often it looks up. The budget is in seconds of training, over all its parts."""

    run_dir: Path
    budget_seconds: float
    evaluate_every_seconds: float
    save_every_seconds: float = 60.0
    device: str = "cpu"
    num_threads: int = 1
    is_compiled: bool = False
    cases_per_skill: int = 20
    publish_to: Path | None = None


class Trainer:
    """One run in its folder: model, optimizer, progress, log. With peers, one process's share of it."""

    def __init__(self, plan: Plan, peers: Peers = ALONE) -> None:
        self._plan = plan
        self._peers = peers
        self._encoder = load_or_train_tokenizer(plan.run_dir)
        self._log = RunLog(plan.run_dir)
        last = plan.run_dir / "last.pt"
        if last.exists():
            self._model, self._progress = checkpoint.load_model(last)
        else:
            torch.manual_seed(0)
            self._model = Llama(ModelShape(vocabulary_size=self._encoder.vocabulary_size))
            start_forms(self._model, self._encoder.texts())
            start_copying(self._model)
            self._progress = Progress()
        self._model.to(plan.device)
        self._optimizer = Optimizer(self._model)
        if last.exists():
            checkpoint.restore_optimizer(last, self._optimizer)
        self._stopwatch = Stopwatch()
        if plan.is_compiled:
            compile_blocks(self._model)

    def run(self) -> None:
        """Trains until the budget is spent, then scores once more."""
        budget = self._plan.budget_seconds
        self._note(f"{self._model.num_parameters()} parameters, step {self._progress.step}, budget {budget:.0f} s")
        for until_share, packing in _PHASES:
            if self._progress.trained_seconds < until_share * budget:
                self._train(packing, until_share * budget)
        self._save()
        self._evaluate()

    def _train(self, packing: Packing, until_seconds: float) -> None:
        # A resumed run must not meet the same samples again, nor may two processes: both are part of the seed.
        seed = 1 + self._progress.step + _SEEDS_PER_PROCESS * self._peers.rank
        stream = batches(samples(seed, Side.TRAIN), self._encoder, packing, Random(seed))
        saved_at = evaluated_at = self._progress.trained_seconds
        self._stopwatch.restart()
        while self._progress.trained_seconds < until_seconds:
            self._step(stream)
            if self._progress.trained_seconds - saved_at > self._plan.save_every_seconds:
                self._save()
                saved_at = self._progress.trained_seconds
            if self._progress.trained_seconds - evaluated_at > self._plan.evaluate_every_seconds:
                self._evaluate()
                evaluated_at = self._progress.trained_seconds
                self._stopwatch.restart()

    def _step(self, stream: Iterator[Batch]) -> None:
        batch = next(stream)
        loss = loss_of(self._model, batch, self._plan.device)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        # Seconds are counted together, so that all processes see the same schedule and the same end.
        mean_loss, mean_tokens, mean_seconds = self._peers.average(
            list(self._model.parameters()), [loss.item(), float(batch.num_tokens), self._stopwatch.lap()]
        )
        self._progress.step += 1
        self._progress.num_tokens += round(mean_tokens * self._peers.count)
        self._progress.trained_seconds += mean_seconds
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), _LARGEST_GRADIENT)
        self._optimizer.step(schedule(self._progress.trained_seconds / self._plan.budget_seconds))
        if self._peers.is_first:
            self._log.step(self._progress, mean_loss, self._plan.budget_seconds)

    def _save(self) -> None:
        # The processes compute alike; should they drift apart by a rounding, here they meet again.
        self._peers.copy_from_first([parameter.data for parameter in self._model.parameters()])
        if self._peers.is_first:
            checkpoint.save(self._plan.run_dir / "last.pt", self._model, self._optimizer, self._progress)

    def _evaluate(self) -> None:
        if not self._peers.is_first:
            return
        with torch.compiler.set_stance("force_eager"):
            scores = score_all(self._model, self._encoder, self._plan.cases_per_skill)
        mean = sum(scores.values()) / len(scores)
        self._log.scores(self._progress, scores)
        if mean >= self._progress.best_score:
            self._progress.best_score = mean
            checkpoint.save(self._plan.run_dir / "best.pt", self._model, None, self._progress)
            if self._plan.publish_to:
                write_gguf(self._model, self._plan.run_dir / "tokenizer.json", self._plan.publish_to, Precision.Q8_0)

    def _note(self, line: str) -> None:
        if self._peers.is_first:
            self._log.note(line)


def compile_blocks(model: Llama) -> None:
    """Compiles each block by itself, for rows of any length. The parameters keep their names."""
    for block in model.blocks:
        block.compile(dynamic=True)


def loss_of(model: Llama, batch: Batch, device: str) -> Tensor:
    """Mean cross-entropy of the learned tokens. Only their places reach the output layer."""
    targets = batch.targets.to(device).flatten()
    places = (targets != _IGNORED).nonzero().flatten()
    targets = functional.pad(targets[places], (0, -len(places) % _PLACES_STEP), value=_IGNORED)
    places = functional.pad(places, (0, -len(places) % _PLACES_STEP))
    with torch.autocast(device.split(":", maxsplit=1)[0], torch.bfloat16):
        hidden = model(batch.ids.to(device), batch.positions.to(device))
        logits = model.logits(hidden.flatten(0, 1)[places])
    return functional.cross_entropy(logits.float(), targets, ignore_index=_IGNORED)


def load_or_train_tokenizer(run_dir: Path) -> tokenizer.PieceEncoder:
    """The run's tokenizer, trained at the first call."""
    path = run_dir / "tokenizer.json"
    if not path.exists():
        run_dir.mkdir(parents=True, exist_ok=True)
        source = islice(samples(0, Side.TRAIN), _TOKENIZER_SAMPLES)
        # The scaffolding goes in too, without its special tokens, so that each role is one token.
        texts = (text for sample in source for piece in layout(sample) if (text := tokenizer.plain(piece.text)))
        tokenizer.train_tokenizer(chain(texts, _word_forms())).save(str(path))
    return tokenizer.PieceEncoder.load(path)


def _word_forms() -> Iterator[str]:
    """The listed words often enough that each is one token at a text's start, within a text, and with a capital letter.

    Names are left to fall into pieces, as a name does that was never heard.
    """
    return (form for word in WORDS for form in (word, f" {word}", word.capitalize()) for _ in range(_FORM_COUNT))


def work(plan: Plan, peers: Peers) -> None:
    """One process's share of a run."""
    torch.set_num_threads(plan.num_threads)
    Trainer(plan, peers).run()


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train parley-mini, or go on training it.")
    parser.add_argument("--run-dir", type=Path, default=DEFAULT_RUN_DIR)
    parser.add_argument("--minutes", type=float, default=240, help="training time in all, resumed parts included")
    parser.add_argument("--evaluate-every", type=float, default=10, help="minutes between two scorings")
    parser.add_argument("--publish", type=Path, help="write the best model so far as GGUF to this file")
    parser.add_argument("--processes", type=int, default=2, help="processes that train together (on a GPU: one)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=shutil.which("c++") is not None)
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plan = Plan(
        run_dir=options.run_dir,
        budget_seconds=options.minutes * 60,
        evaluate_every_seconds=options.evaluate_every * 60,
        device=device,
        num_threads=options.threads,
        is_compiled=options.compile,
        publish_to=options.publish,
    )
    # Made before the processes part: they would all make it.
    load_or_train_tokenizer(plan.run_dir)
    run_together(options.processes if device == "cpu" else 1, partial(work, plan))


if __name__ == "__main__":
    main(sys.argv[1:])
