"""A run: it learns, it can be cut and goes on, its batches hold what was drawn."""

import shutil
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import torch

from training import checkpoint
from training.checkpoint import Progress
from training.corpus.draw import Side
from training.corpus.registry import samples
from training.curve import draw_curve
from training.optimizer import Optimizer, orthogonal, schedule
from training.rows import Packing, batches, collate, row_of
from training.run_log import RunLog
from training.samples import Completion, Dialogue, assistant, user
from training.score import score_all
from training.stopwatch import LONGEST_STEP_SECONDS, Stopwatch
from training.tests.builders import small_encoder, small_model
from training.tokenizer import PieceEncoder
from training.train import Plan, Trainer, compile_blocks, loss_of


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> PieceEncoder:
    return small_encoder(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def test_targets_are_the_next_ids_of_the_answer_alone(encoder: PieceEncoder) -> None:
    row = row_of(Dialogue(skill="talk", messages=(user("Hello"), assistant("Hi!"))), encoder)
    targets = collate([row], encoder.padding).targets[0].tolist()
    learned = [token for token in targets if token != -100]
    assert encoder.decode(learned) == "Hi!<|im_end|>"
    place = targets.index(learned[0])
    assert row.ids[place + 1] == learned[0]


@pytest.mark.parametrize("joined_share", [0.0, 1.0])
def test_batches_keep_within_their_size_and_positions_never_go_back(encoder: PieceEncoder, joined_share: float) -> None:
    packing = Packing(longest_row=256, joined_share=joined_share, batch_tokens=2048)
    for batch in islice(batches(samples(1, Side.TRAIN), encoder, packing, Random(1)), 20):
        assert batch.num_tokens <= packing.batch_tokens
        is_text = batch.ids != encoder.padding
        steps = batch.positions.diff(dim=1)[is_text[:, 1:]]
        assert bool((steps >= 0).all())


def test_the_loss_falls(encoder: PieceEncoder) -> None:
    model = small_model(encoder.vocabulary_size).train()
    optimizer = Optimizer(model)
    rows = [row_of(Completion(skill="raw", prompt="The capital of France is", answer=" Paris."), encoder)]
    batch = collate(rows, encoder.padding)
    losses = []
    for _ in range(30):
        loss = loss_of(model, batch, "cpu")
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.filterwarnings("ignore")  # torch warns of its own code while it compiles
@pytest.mark.skipif(shutil.which("c++") is None, reason="blocks are compiled with a C++ compiler")
def test_compiled_blocks_have_the_loss_and_the_gradients_of_plain_ones_at_every_length(encoder: PieceEncoder) -> None:
    plain, compiled = (small_model(encoder.vocabulary_size).train() for _ in range(2))
    compile_blocks(compiled)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for answer in (" Paris.", " Paris, and that of Italy is Rome, and that of Spain is Madrid."):
        row = row_of(Completion(skill="raw", prompt="The capital of France is", answer=answer), encoder)
        batch = collate([row, row], encoder.padding)
        losses = [loss_of(model, batch, "cpu") for model in (plain, compiled)]
        torch.testing.assert_close(*losses, rtol=0.02, atol=0.02)
        for loss in losses:
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        # In bfloat16 the fused sums round elsewhere.
        assert one.grad is not None
        assert other.grad is not None
        assert float((one.grad - other.grad).norm() / one.grad.norm()) < 0.1


def test_a_step_that_was_suspended_counts_as_a_long_one_and_a_scoring_does_not_count() -> None:
    readings = iter([0.0, 2.0, 3602.0, 3603.0, 3700.0, 3701.5])
    stopwatch = Stopwatch(lambda: next(readings))
    assert [stopwatch.lap() for _ in range(3)] == [2.0, LONGEST_STEP_SECONDS, 1.0]
    stopwatch.restart()
    assert stopwatch.lap() == 1.5


def test_orthogonal_updates_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((64, 32), (32, 64)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.5
        assert values.max() < 1.4


def test_the_schedule_warms_up_stays_and_comes_down() -> None:
    rates = [schedule(place / 100) for place in range(101)]
    assert rates[0] < rates[1] < rates[3] == 1.0
    assert rates[50] == 1.0
    assert 0 < rates[100] < rates[90] < 0.5


def test_a_checkpoint_brings_back_model_optimizer_and_progress(tmp_path: Path, encoder: PieceEncoder) -> None:
    model = small_model(encoder.vocabulary_size).train()
    optimizer = Optimizer(model)
    batch = collate([row_of(Completion(skill="raw", prompt="1, 2,", answer=" 3, 4"), encoder)], encoder.padding)
    loss_of(model, batch, "cpu").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimizer.step(1.0)
    progress = Progress(step=1, num_tokens=9, trained_seconds=2.5, best_score=0.5)
    checkpoint.save(tmp_path / "last.pt", model, optimizer, progress)
    restored, restored_progress = checkpoint.load_model(tmp_path / "last.pt")
    restored_optimizer = Optimizer(restored)
    checkpoint.restore_optimizer(tmp_path / "last.pt", restored_optimizer)
    assert restored_progress == progress
    for one, other in ((model, optimizer), (restored, restored_optimizer)):
        loss_of(one, batch, "cpu").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        other.step(1.0)
    for before, after in zip(model.parameters(), restored.parameters(), strict=True):
        torch.testing.assert_close(before, after)


def test_a_run_that_was_cut_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def run(budget_seconds: float) -> Progress:
        plan = Plan(run_dir=tmp_path, budget_seconds=budget_seconds, evaluate_every_seconds=1000, cases_per_skill=1)
        Trainer(plan).run()
        return checkpoint.load_model(tmp_path / "last.pt")[1]

    first = run(3)
    second = run(first.trained_seconds + 3)
    assert second.step > first.step
    assert second.num_tokens > first.num_tokens
    assert (tmp_path / "best.pt").exists()


def test_scores_are_shares_for_every_skill(encoder: PieceEncoder) -> None:
    scores = score_all(small_model(encoder.vocabulary_size), encoder, 1)
    assert {"arithmetic", "json", "code_middle", "tool_call"} <= scores.keys()
    assert all(0 <= score <= 1 for score in scores.values())


def test_a_run_log_becomes_a_picture(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step in range(1, 101):
        log.step(Progress(step=step, num_tokens=1000 * step, trained_seconds=float(step)), 5 / step, 100)
    draw_curve(tmp_path / "log.tsv", tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
