"""Pictures on the real engine: projectors of four kinds, what they change in an answer, and what becomes of their worker."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from msgspec import structs

from parley.core.errors import EngineFailed, InvalidRequest, ModelLoadFailed, RequestQuarantined
from parley.core.picture import Layout, Picture, Rows
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.engines.vision import WorkerVision
from tests.builders_engines import HANG_SECONDS, byte_ids, read_out, round_of, run_round
from tests.builders_vision import (
    KINDS,
    LINES,
    TILES,
    TOGETHER,
    Seeing,
    differ,
    picture,
    request_of,
    seeing,
    write_sighted,
)
from tests.gguf_maker import Shape
from tests.live import ROOT
from tests.vision_maker import Eye, tensors_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE, AFTER = "this is ", " and what is it?"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seeing]:
    """A model of each kind in turn."""
    async with seeing(tmp_path_factory.mktemp("each"), KINDS[request.param]) as sighted:
        yield sighted


@pytest_asyncio.fixture(loop_scope="module")
async def sighted(tmp_path: Path) -> AsyncIterator[Seeing]:
    async with seeing(tmp_path) as made:
        yield made


async def test_two_pictures_are_two_prompts_and_one_picture_is_one(each: Seeing) -> None:
    first = await each.scores(BEFORE, picture(1), AFTER, salt="a")
    assert differ(first, await each.scores(BEFORE, picture(2), AFTER, salt="a"))
    assert await each.scores(BEFORE, picture(1), AFTER, salt="b") == pytest.approx(first, abs=1e-2)
    assert await each.scores(BEFORE, picture(1), AFTER, salt="a") == pytest.approx(first, abs=1e-2)


async def test_the_order_of_pictures_and_texts_matters(each: Seeing) -> None:
    first = await each.scores(BEFORE, picture(1), picture(2), AFTER)
    assert differ(first, await each.scores(BEFORE, picture(2), picture(1), AFTER))
    assert differ(first, await each.scores(picture(1), BEFORE, picture(2), AFTER))


async def test_a_picture_changes_nothing_of_prompts_without_one(each: Seeing) -> None:
    before = await each.scores(BEFORE, AFTER)
    async with asyncio.TaskGroup() as tasks:
        beside = tasks.create_task(each.scores(BEFORE, AFTER, salt="beside"))
        tasks.create_task(each.scores(picture(7), AFTER))
        tasks.create_task(each.scores(BEFORE, picture(8), AFTER))
    assert beside.result() == pytest.approx(before, abs=1e-2)
    assert await each.scores(BEFORE, AFTER, salt="behind") == pytest.approx(before, abs=1e-2)


async def test_every_row_and_mark_of_a_picture_is_counted(each: Seeing) -> None:
    layout = await each.vision.lay_out(48, 32)
    its_cells = sum(part.count if isinstance(part, Rows) else len(part.token_ids) for part in layout)
    assert its_cells >= 4
    outcome = await each.answer(BEFORE, picture(1), AFTER, max_tokens=2)
    assert outcome.usage.input_tokens == len(BEFORE) + its_cells + len(AFTER)


async def test_a_beginning_with_a_picture_is_read_once_and_never_with_another(each: Seeing) -> None:
    text = "a" * 100
    prompt = await request_of(each.vision, text, picture(20), AFTER, max_tokens=1)
    num_cells = len(prompt.prompt)
    assert (await run_round(each.engine, prompt)).usage.cached_tokens < 100
    again = await each.answer(text, picture(20), AFTER, max_tokens=1)
    assert again.usage.cached_tokens == num_cells - 1
    other = await each.answer(text, picture(21), AFTER, max_tokens=1)
    # A mark of the model's own may stand before the rows.
    assert 100 <= other.usage.cached_tokens <= 102


async def test_several_sequences_share_a_picture(each: Seeing) -> None:
    outcome = await each.answer(BEFORE, picture(1), AFTER, num_sequences=3, max_tokens=6, temperature=0.0)
    assert len(set(outcome.texts)) == 1
    alone = await each.answer(BEFORE, picture(1), AFTER, max_tokens=6, temperature=0.0)
    assert outcome.texts[0] == alone.texts[0]


async def test_llama_cpps_own_helper_reads_the_same(tmp_path: Path) -> None:
    for name, kind in KINDS.items():
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        shown = picture(5, 64, 48)
        async with seeing(folder, kind) as made:
            request = await request_of(made.vision, BEFORE, shown, AFTER, max_tokens=1, logprobs=20, temperature=0.0)
            (ours,) = (await run_round(made.engine, request)).scored[0]
        described = {"width": 64, "height": 48, "pixels": base64.b64encode(shown.pixels).decode()}
        theirs = reference(folder, [list(byte_ids(BEFORE)), described, list(byte_ids(AFTER))])
        assert [top.logprob for top in ours.top] == pytest.approx(
            [theirs[top.token_id or 0] for top in ours.top], abs=1e-2
        ), name


def reference(folder: Path, prompt: list[object]) -> list[float]:
    """The log-probabilities of what follows a prompt, by llama.cpp's own helper."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.engines.mtmd_reference",
            str(folder / "model.gguf"),
            str(folder / "projector.gguf"),
        ],
        input=json.dumps(prompt),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


async def test_rows_are_what_the_weights_make_of_the_pixels(tmp_path: Path) -> None:
    vision = WorkerVision(write_sighted(tmp_path, TOGETHER))
    try:
        shown = picture(6, 32, 32)
        rows = np.frombuffer(await vision.look(shown, salt=""), dtype=np.float32).reshape(-1, TOGETHER.eye.text_width)
    finally:
        await vision.aclose()
    ours = rows_by_hand(TOGETHER.eye, shown)
    assert np.abs(rows - ours).max() < 0.02 * np.abs(ours).max()


def rows_by_hand(eye: Eye, shown: Picture) -> np.ndarray:
    """What a projector of the kind gemma3 makes of a picture of its own size, in NumPy."""
    weights, side = tensors_of(eye), eye.image_size // eye.patch_size
    pixels = np.frombuffer(shown.pixels, dtype=np.uint8).reshape(eye.image_size, eye.image_size, 3) / 255 * 2 - 1
    patches = pixels.reshape(side, eye.patch_size, side, eye.patch_size, 3).transpose(0, 2, 4, 1, 3)
    state = patches.reshape(side**2, -1) @ weights["v.patch_embd.weight"].reshape(eye.width, -1).T
    state += weights["v.position_embd.weight"]

    def linear(name: str, given: np.ndarray) -> np.ndarray:
        return given @ weights[f"v.blk.0.{name}.weight"].T + weights.get(f"v.blk.0.{name}.bias", 0)

    def normed(name: str, given: np.ndarray) -> np.ndarray:
        centred = given - given.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    given = normed("v.blk.0.ln1", state)
    heads = [linear(f"attn_{name}", given).reshape(side**2, eye.num_heads, -1) for name in "qkv"]
    scores = np.exp(np.einsum("qhd,khd->hqk", heads[0], heads[1]) / np.sqrt(eye.width / eye.num_heads))
    mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(axis=2, keepdims=True), heads[2])
    state = state + linear("attn_out", mixed.reshape(side**2, -1))
    inner = linear("ffn_up", normed("v.blk.0.ln2", state))
    inner = inner * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
    state = normed("v.post_ln", state + linear("ffn_down", inner))
    less = side // eye.merge
    pooled = state.reshape(less, eye.merge, less, eye.merge, -1).mean(axis=(1, 3)).reshape(less**2, -1)
    pooled /= np.sqrt((pooled**2).mean(axis=1, keepdims=True) + 1e-5)
    result: np.ndarray = pooled * weights["mm.soft_emb_norm.weight"] @ weights["mm.input_projection.weight"]
    return result


async def test_a_picture_larger_than_a_step_is_read_in_several(tmp_path: Path) -> None:
    large = picture(3, 160, 96)
    seen = []
    for batch_tokens in (256, 16):
        folder = tmp_path / str(batch_tokens)
        folder.mkdir()
        async with seeing(folder, LINES, batch_tokens=batch_tokens) as made:
            layout = await made.vision.lay_out(160, 96)
            assert any(isinstance(part, Rows) and part.count > 32 for part in layout)
            seen.append(await made.scores(BEFORE, large, AFTER))
    assert seen[1] == pytest.approx(seen[0], abs=1e-2)


async def test_rows_that_see_each_other_are_read_in_one_step_however_small_others_are(tmp_path: Path) -> None:
    many = replace(TOGETHER, eye=replace(TOGETHER.eye, image_size=160, merge=1))
    shown = picture(5, 160, 160)
    async with seeing(tmp_path, many, batch_tokens=32) as made:
        (_, rows, _) = await made.vision.lay_out(160, 160)
        assert isinstance(rows, Rows)
        assert (rows.count, rows.is_causal) == (400, False)
        request = await request_of(made.vision, BEFORE, shown, AFTER, max_tokens=1, logprobs=20, temperature=0.0)
        (ours,) = (await run_round(made.engine, request)).scored[0]
        running = await made.answer("text", max_tokens=2)
    described = {"width": 160, "height": 160, "pixels": base64.b64encode(shown.pixels).decode()}
    theirs = reference(tmp_path, [list(byte_ids(BEFORE)), described, list(byte_ids(AFTER))])
    assert [top.logprob for top in ours.top] == pytest.approx([theirs[top.token_id or 0] for top in ours.top], abs=1e-2)
    assert running.usage.output_tokens


async def test_more_rows_that_see_each_other_than_any_step_reads_are_refused_by_name(tmp_path: Path) -> None:
    huge = replace(TOGETHER, eye=replace(TOGETHER.eye, image_size=400, merge=1))
    async with seeing(tmp_path, huge) as made:
        with pytest.raises(InvalidRequest) as refused:
            await made.answer(BEFORE, picture(1), AFTER)
        assert (refused.value.code, "48 x 32 pixels" in refused.value.message) == ("invalid_image_size", True)
        assert (await made.answer(BEFORE, max_tokens=2)).usage.output_tokens


async def test_a_prompt_may_end_with_a_picture(each: Seeing) -> None:
    first = await each.scores(BEFORE, picture(1))
    assert differ(first, await each.scores(BEFORE, picture(2)))


async def test_running_answers_go_on_while_pictures_are_read(sighted: Seeing) -> None:
    alone = await sighted.answer("tell me", max_tokens=60, temperature=0.0)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sighted.answer("tell me", max_tokens=60, temperature=0.0))
        for seed in range(6):
            tasks.create_task(sighted.answer(picture(seed), AFTER, max_tokens=4))
    assert running.result().texts == alone.texts


async def test_who_leaves_while_a_picture_is_looked_at_holds_nothing(sighted: Seeing) -> None:
    request = await request_of(sighted.vision, BEFORE, picture(1), AFTER, max_tokens=4)
    pid = sighted.vision.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        starting = asyncio.ensure_future(sighted.engine.generate(request))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(starting), 0.2)
        assert (await sighted.answer("text", max_tokens=2)).usage.output_tokens
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    finally:
        os.kill(pid, signal.SIGCONT)
    assert sighted.engine.num_open_rounds == 0
    assert await sighted.engine.busy_slots() == []
    assert await sighted.scores(BEFORE, picture(1), AFTER)
    # The worker was not ended for it.
    assert sighted.vision.pid == pid


async def test_an_abort_frees_the_slot_of_a_prompt_with_pictures(sighted: Seeing) -> None:
    request = await request_of(sighted.vision, BEFORE, picture(1), AFTER, max_tokens=400, temperature=1.0)
    request = structs.replace(request, sampling=structs.replace(request.sampling, logit_bias={2: -100.0}))
    generation = await sighted.engine.generate(request)
    await anext(generation)
    await generation.aclose()
    async with asyncio.timeout(HANG_SECONDS):
        while await sighted.engine.busy_slots():
            pass
    assert await sighted.scores(BEFORE, picture(1), AFTER)


async def test_a_projector_that_dies_fails_its_request_and_no_other(sighted: Seeing) -> None:
    request = await request_of(sighted.vision, BEFORE, picture(1), AFTER, max_tokens=4)
    running = await sighted.engine.generate(round_of(byte_ids("text"), max_tokens=50, temperature=0.0))
    pid = sighted.vision.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    starting = asyncio.ensure_future(sighted.engine.generate(request))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(starting), 0.1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineFailed) as failure:
        await starting
    assert "projector's worker ended" in failure.value.detail
    assert (await read_out(running, 1)).usage.output_tokens
    assert await sighted.scores(BEFORE, picture(2), AFTER)
    assert sighted.vision.pid not in {None, pid}
    # What it ended over may be to blame, and is not looked at again for a while (C3).
    with pytest.raises(RequestQuarantined):
        await sighted.scores(BEFORE, picture(1), AFTER)


async def test_a_projector_that_died_idle_fails_nobody(sighted: Seeing) -> None:
    await sighted.vision.lay_out(48, 32)
    assert sighted.vision.pid is not None
    os.kill(sighted.vision.pid, signal.SIGKILL)
    async with asyncio.timeout(HANG_SECONDS):
        while sighted.vision.pid is not None:
            await asyncio.sleep(0)
    assert await sighted.scores(BEFORE, picture(1), AFTER)


async def test_pictures_of_every_shape_are_read(each: Seeing) -> None:
    for width, height in ((8, 8), (8, 200), (200, 8), (33, 31), (64, 512)):
        assert await each.scores(picture(9, width, height), AFTER)


class Liar:
    """Says that a picture takes four rows, and gives rows of another width."""

    async def lay_out(self, width: int, height: int) -> Layout:
        return (Rows(count=4, num_positions=4),)

    async def most_together(self) -> int:
        return 0

    async def look(self, picture: Picture, *, salt: str) -> bytes:
        return bytes(4 * 63 * 64)


async def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    files = write_sighted(tmp_path, LINES)
    engine = LlamaEngine(LlamaOptions(model=files.model, context_length=512, num_slots=1, num_threads=1), vision=Liar())
    try:
        await engine.start()
        with pytest.raises(EngineFailed) as refused:
            await run_round(engine, await request_of(Liar(), BEFORE, picture(1)))
        assert "the engine refused a round: rows that are not of this model" in refused.value.detail
        assert (await run_round(engine, round_of(byte_ids("text"), max_tokens=2))).usage.output_tokens
    finally:
        await engine.aclose()


class Gone(Liar):
    """Ends before it can say anything."""

    async def most_together(self) -> int:
        raise EngineFailed("it was killed")


async def test_an_engine_is_not_loaded_without_what_sees_for_it(tmp_path: Path) -> None:
    files = write_sighted(tmp_path, LINES)
    engine = LlamaEngine(LlamaOptions(model=files.model, context_length=512, num_slots=1, num_threads=1), vision=Gone())
    with pytest.raises(ModelLoadFailed) as failed:
        await engine.start()
    assert failed.value.detail == "what sees for it ended: it was killed"
    assert engine.pid is None


@pytest.mark.parametrize(
    ("shape", "eye", "why"),
    [
        (Shape(), replace(LINES.eye, text_width=32), "not this model's"),
        (Shape(), TILES.eye, "lacks the tokens"),
        (Shape(), Eye(kind="mlp", text_width=32), "not this model's"),
    ],
    ids=["another width", "no marks", "another width of another kind"],
)
async def test_a_projector_that_does_not_fit_its_model_is_not_loaded(
    tmp_path: Path, shape: Shape, eye: Eye, why: str
) -> None:
    vision = WorkerVision(write_sighted(tmp_path, replace(LINES, shape=shape, eye=eye)))
    with pytest.raises(ModelLoadFailed) as refused:
        await vision.lay_out(48, 32)
    assert why in refused.value.detail
    assert vision.pid is None


@pytest.mark.parametrize(
    ("eye", "why"),
    [
        (replace(LINES.eye, claimed_kind="deepseek4v"), "Projectors of the kind deepseek4v are not supported."),
        (replace(LINES.eye, claimed_kind="hunyuanvl"), "Projectors of the kind hunyuanvl are not supported."),
        (replace(LINES.eye, can_see=False), "It is a projector that does not see."),
        (replace(LINES.eye, claimed_kind="nonsense"), "could not load the projector"),
    ],
    ids=["placed by what stands before", "with places of its own", "blind", "unheard of"],
)
async def test_a_projector_of_no_use_is_refused_with_the_reason(tmp_path: Path, eye: Eye, why: str) -> None:
    vision = WorkerVision(write_sighted(tmp_path, replace(LINES, eye=eye)))
    with pytest.raises(ModelLoadFailed) as refused:
        await vision.lay_out(48, 32)
    assert why in refused.value.detail
