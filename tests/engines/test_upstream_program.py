"""A server's own program, started and kept alive by us: llama.cpp's real HTTP server, and programs that misbehave."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from parley.core.errors import EngineFailed, ModelLoadFailed, Overloaded
from parley.core.requests import ChatMessage, ChatPrompt, SequenceRequest
from parley.core.template import Role
from parley.infra.settings import environment_of_programs
from parley.serving.engines.openai_server.program import ProgramTimes, SupervisedProgram
from tests.builders_engines import HANG_SECONDS, round_of, run_round
from tests.builders_upstreams import (
    QUICK,
    QUICK_TIMES,
    Received,
    Wire,
    engine_on,
    fake_upstream,
    supervised_llama_server,
    upstream_at,
    words,
)
from tests.engines.test_child import is_alive

MODEL = Path(__file__).parents[2] / "src" / "parley" / "bundled" / "parley-mini.gguf"


def hello(**sampling: object) -> SequenceRequest:
    messages = (ChatMessage(role=Role.USER, content="Hello!"),)
    return structs.replace(round_of((), temperature=0.0, **sampling), source=ChatPrompt(messages=messages))  # type: ignore[arg-type]


async def until(holds) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_chat_on_llama_cpps_own_server_is_answered_and_counted_as_it_counts() -> None:
    program, url = supervised_llama_server(MODEL)
    async with engine_on(upstream_at(url), program=program) as engine:
        outcome = await run_round(engine, hello(max_tokens=40))
    assert outcome.texts == ["Hello! How can I help you today?"]
    assert outcome.usage.input_tokens == 10
    assert outcome.events[-1].doubt is None


async def test_a_program_that_dies_fails_its_rounds_and_is_started_again() -> None:
    program, url = supervised_llama_server(MODEL)
    async with engine_on(upstream_at(url), program=program) as engine:
        # Without its end tokens it goes on to the limit.
        generation = await engine.generate(hello(max_tokens=400, logit_bias={1: -100.0, 0: -100.0, 2: -100.0}))
        await anext(generation)
        pid = program.pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        with pytest.raises(EngineFailed):
            async for _ in generation:
                pass
        await until(lambda: program.num_restarts == 1)
        outcome = await run_round(engine, hello(max_tokens=3))
        assert outcome.num_tokens == [3]
        assert program.pid != pid


async def test_a_program_that_hangs_is_ended_and_started_again() -> None:
    program, url = supervised_llama_server(MODEL)
    deadlines = replace(QUICK, first=60.0, stall=1.0, probe=5.0)
    async with engine_on(upstream_at(url), program=program, deadlines=deadlines) as engine:
        pid = program.pid
        assert pid is not None
        os.killpg(pid, signal.SIGSTOP)
        # Its connection breaks when the program that hangs is ended, long before the first token's time is over.
        with pytest.raises(EngineFailed):
            await run_round(engine, hello(max_tokens=3))
        await until(lambda: program.num_restarts == 1 and program.pid not in (None, pid))
        assert (await run_round(engine, hello(max_tokens=3))).num_tokens == [3]


async def test_a_round_that_waits_long_on_a_healthy_program_costs_no_restart() -> None:
    release = asyncio.Event()

    async def queued(wire: Wire, received: Received) -> None:
        await release.wait()
        await words(1, reported=1)(wire, received)

    async with fake_upstream(queued) as fake:
        program = SupervisedProgram(("sleep", "600"), environment_of_programs(), QUICK_TIMES)
        deadlines = replace(QUICK, first=60.0, stall=0.05)
        async with engine_on(upstream_at(fake.url), program=program, deadlines=deadlines) as engine:
            answering = asyncio.create_task(run_round(engine, hello(max_tokens=3)))
            # The start's probe, and those of the doubts.
            await until(lambda: fake.num_probes >= 4)
            release.set()
            assert (await answering).num_tokens == [1]
            assert program.num_restarts == 0


async def test_closing_the_engine_ends_the_program() -> None:
    program, url = supervised_llama_server(MODEL)
    async with engine_on(upstream_at(url), program=program):
        pid = program.pid
        assert pid is not None
        assert is_alive(pid)
    assert not is_alive(pid)


async def test_a_program_that_ends_at_once_says_why() -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('no accelerator found')")
    program = SupervisedProgram(command, environment_of_programs(), QUICK_TIMES)
    with pytest.raises(ModelLoadFailed) as failed:
        async with engine_on(upstream_at("http://127.0.0.1:9/v1"), program=program):
            pass
    assert "no accelerator found" in failed.value.detail


async def test_a_program_that_does_not_exist_says_so() -> None:
    program = SupervisedProgram(("/nowhere/vllm", "serve"), environment_of_programs(), QUICK_TIMES)
    with pytest.raises(ModelLoadFailed) as failed:
        async with engine_on(upstream_at("http://127.0.0.1:9/v1"), program=program):
            pass
    assert "/nowhere/vllm cannot be started" in failed.value.detail


async def test_a_strangers_server_on_the_programs_port_is_not_taken_for_it(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    until_asked = f"import os, time\nwhile not os.path.exists({str(asked)!r}): time.sleep(0.01)"

    async def slow(wire: Wire, received: Received) -> None:
        # Answers once the program, which found its port taken, has ended.
        asked.touch()
        async with asyncio.timeout(HANG_SECONDS):
            while program.pid is not None and is_alive(program.pid):
                await asyncio.sleep(0.02)
        await wire.reply(200, {"choices": []})

    async with fake_upstream(words(1), probe=slow) as fake:
        program = SupervisedProgram((sys.executable, "-c", until_asked), environment_of_programs(), QUICK_TIMES)
        with pytest.raises(ModelLoadFailed) as failed:
            async with engine_on(upstream_at(fake.url), program=program):
                pass
        assert fake.num_probes == 1
    assert "it ended" in failed.value.detail


async def test_a_model_that_cannot_be_loaded_ends_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing more")
    program, url = supervised_llama_server(broken)
    with pytest.raises(ModelLoadFailed):
        async with engine_on(upstream_at(url), program=program):
            pass


async def test_a_request_waits_for_a_restart_only_so_long() -> None:
    times = replace(QUICK_TIMES, first_backoff=600.0, ready=0.05)
    program, url = supervised_llama_server(MODEL, times=times)
    async with engine_on(upstream_at(url), program=program) as engine:
        pid = program.pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        await until(lambda: program.pid is None)
        with pytest.raises(Overloaded):
            await run_round(engine, hello(max_tokens=3))


async def test_who_leaves_while_it_is_started_again_had_nobody_begin_on_a_prompt() -> None:
    program, url = supervised_llama_server(MODEL, times=replace(QUICK_TIMES, first_backoff=600.0))
    async with engine_on(upstream_at(url), program=program) as engine:
        pid = program.pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        await until(lambda: program.pid is None)
        async with asyncio.timeout(HANG_SECONDS):
            generation = await engine.generate(hello(max_tokens=3))
        assert await generation.aclose() is None


async def test_the_programs_environment_has_no_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_BOOTSTRAP_KEY", "sk-secret-of-the-first-start")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    given = environment_of_programs()
    assert given["CUDA_VISIBLE_DEVICES"] == "1"
    assert not any(name.startswith("PARLEY_") for name in given)


def test_a_program_that_always_dies_is_started_at_most_8_times_in_five_minutes() -> None:
    times, now, starts, pause = ProgramTimes(), 0.0, 1, ProgramTimes().first_backoff
    while (now := now + pause) <= 300:
        starts += 1
        pause = min(pause * times.backoff_factor, times.last_backoff)
    assert starts <= 8
