"""Children that die, hang, or outlive us: what the rounds on them see, and that the service comes back."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parley.core.errors import EngineDied, EngineFailed, ModelLoadFailed
from parley.infra.sandbox import confinement_report
from parley.serving.engines.child import Supervision
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from tests.builders_engines import HANG_SECONDS, byte_ids, llama_engine, round_of, run_round
from tests.gguf_maker import Shape, model_bytes, write_model

ROOT = Path(__file__).parents[2]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_killing_the_child_fails_its_rounds_and_the_service_returns(tmp_path: Path) -> None:
    async with llama_engine(tmp_path) as engine:
        rounds = [await engine.generate(round_of(byte_ids("a"), max_tokens=480, temperature=0.0)) for _ in range(4)]
        for generation in rounds:
            await anext(generation)
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        # Before the supervision could take it for one that hangs.
        async with asyncio.timeout(HANG_SECONDS):
            for generation in rounds:
                with pytest.raises(EngineFailed):
                    async for _ in generation:
                        pass
            assert engine.num_open_rounds == 0
            outcome = await run_round(engine, round_of(byte_ids("a"), max_tokens=2, temperature=0.0))
        assert outcome.num_tokens == [2]
        assert engine.pid != pid


async def test_a_child_that_dies_before_it_takes_a_round_up_did_not_die_of_it(tmp_path: Path) -> None:
    async with llama_engine(tmp_path) as engine:
        taken = await engine.generate(round_of(byte_ids("a"), max_tokens=480, temperature=0.0))
        await anext(taken)
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        waiting = await engine.generate(round_of(byte_ids("b"), max_tokens=2, temperature=0.0))
        os.kill(pid, signal.SIGKILL)
        deaths = []
        async with asyncio.timeout(HANG_SECONDS):
            for generation in (taken, waiting):
                with pytest.raises(EngineDied) as died:
                    async for _ in generation:
                        pass
                deaths.append(died.value.has_reached)
        assert deaths == [True, False]


async def test_a_score_on_a_dying_child_fails_and_the_next_one_works(tmp_path: Path) -> None:
    async with llama_engine(tmp_path) as engine:
        pid = engine.pid
        assert pid is not None
        await engine.score(byte_ids("ab"), num_top=1)
        os.kill(pid, signal.SIGSTOP)
        scoring = asyncio.create_task(engine.score(byte_ids("ab"), num_top=1))
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineFailed):
            await scoring
        while engine.is_ready and engine.pid == pid:
            await asyncio.sleep(0.01)
        assert len(await engine.score(byte_ids("ab"), num_top=1)) == 2


async def test_a_child_that_hangs_is_ended_and_replaced(tmp_path: Path) -> None:
    supervision = Supervision(stall_seconds=3.0, stall_check_seconds=0.1, first_backoff_seconds=0.05)
    async with llama_engine(tmp_path, supervision=supervision) as engine:
        generation = await engine.generate(round_of(byte_ids("a"), max_tokens=480, temperature=0.0))
        await anext(generation)
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(HANG_SECONDS):
            with pytest.raises(EngineFailed):
                async for _ in generation:
                    pass
        outcome = await run_round(engine, round_of(byte_ids("a"), max_tokens=2, temperature=0.0))
        assert outcome.num_tokens == [2]
        assert not is_alive(pid)


async def test_an_idle_child_is_not_taken_for_a_hanging_one(tmp_path: Path) -> None:
    supervision = Supervision(stall_seconds=0.1, stall_check_seconds=0.05)
    async with llama_engine(tmp_path, supervision=supervision) as engine:
        pid = engine.pid
        await asyncio.sleep(0.5)
        assert engine.pid == pid


async def test_closing_the_engine_ends_child_and_open_rounds(tmp_path: Path) -> None:
    async with llama_engine(tmp_path) as engine:
        pid = engine.pid
        assert pid is not None
        generation = await engine.generate(round_of(byte_ids("a"), max_tokens=480, temperature=0.0))
        await anext(generation)
        await engine.aclose()
        assert not is_alive(pid)
        assert [event async for event in generation] == []
        with pytest.raises(EngineFailed):
            await engine.generate(round_of(byte_ids("a")))


async def test_no_child_survives_a_killed_server(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.builders_engines import llama_engine\n"
        "async def main():\n"
        "    async with llama_engine(Path(sys.argv[1])) as engine:\n"
        "        print(engine.pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT}/src"},
    )
    assert server.stdout is not None
    with server.stdout:
        pid = int(server.stdout.readline())
        assert is_alive(pid)
        server.kill()
        server.wait()
    async with asyncio.timeout(HANG_SECONDS):
        while is_alive(pid):
            await asyncio.sleep(0.02)


async def test_what_the_runtime_says_of_a_bad_file_reaches_the_operator(tmp_path: Path) -> None:
    path, before = tmp_path / "model.gguf", set(children_of(os.getpid()))
    # Honest to the reader, but no architecture that anything could run.
    path.write_bytes(
        model_bytes(Shape()).replace(
            b"general.architecture" + b"\x08\0\0\0" + b"\x05" + bytes(7) + b"llama",
            b"general.architecture" + b"\x08\0\0\0" + b"\x05" + bytes(7) + b"lmaxx",
        )
    )
    engine = LlamaEngine(LlamaOptions(model=path, context_length=512))
    with pytest.raises(ModelLoadFailed) as refused:
        await engine.start()
    assert "lmaxx" in refused.value.detail
    assert "lmaxx" not in refused.value.message
    await engine.aclose()
    assert set(children_of(os.getpid())) <= before


async def test_a_truncated_file_is_refused_before_any_worker_starts(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf")
    path.write_bytes(path.read_bytes()[:-1000])
    engine = LlamaEngine(LlamaOptions(model=path, context_length=512))
    with pytest.raises(ModelLoadFailed, match="error while processing"):
        await engine.start()
    assert engine.pid is None


async def test_restarts_leak_no_descriptors_and_no_zombies(tmp_path: Path) -> None:
    async with llama_engine(tmp_path) as engine:
        await run_round(engine, round_of(byte_ids("a"), max_tokens=2, temperature=0.0))
        before, children = len(list(Path("/proc/self/fd").iterdir())), len(children_of(os.getpid()))
        for _ in range(4):
            pid = engine.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            while engine.pid in {pid, None}:
                await asyncio.sleep(0.01)
            await run_round(engine, round_of(byte_ids("a"), max_tokens=2, temperature=0.0))
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
        assert len(children_of(os.getpid())) == children


async def test_an_engine_closed_as_soon_as_it_started_leaves_no_child(tmp_path: Path) -> None:
    before = set(children_of(os.getpid()))
    async with llama_engine(tmp_path):
        started = set(children_of(os.getpid())) - before
        assert len(started) == 1
    assert not {pid for pid in started if is_alive(pid)}


async def test_the_worker_cannot_reach_the_network_and_holds_no_secret(tmp_path: Path) -> None:
    async with llama_engine(tmp_path) as engine:
        environment = Path(f"/proc/{engine.pid}/environ").read_bytes().decode().split("\0")
        names = {entry.partition("=")[0] for entry in environment if entry}
        assert names == {
            "PATH", "LANG", "PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "GOMP_SPINCOUNT", "GGML_NO_BACKTRACE",
        }  # fmt: skip
        limits = Path(f"/proc/{engine.pid}/limits").read_text()
        assert "Max core file size        0" in limits
        status = Path(f"/proc/{engine.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status


async def test_the_report_names_every_confinement() -> None:
    held = await confinement_report()
    assert set(held) == {"rlimits", "network_namespace", "no_new_privileges", "socket_filter", "dies_with_parent"}
    assert held["rlimits"]
    assert held["no_new_privileges"]
    assert held["dies_with_parent"]


def test_a_confined_process_can_open_unix_sockets_and_no_others(tmp_path: Path) -> None:
    program = tmp_path / "reach.py"
    program.write_text(
        "import socket, sys\n"
        "socket.socket(socket.AF_UNIX).bind(sys.argv[1])\n"
        "for family in (socket.AF_INET, socket.AF_INET6):\n"
        "    try:\n"
        "        socket.socket(family).connect(('127.0.0.1', 9))\n"
        "    except OSError as error:\n"
        "        print(type(error).__name__, file=sys.stderr)\n"
    )
    limits = (
        f'{{"parent": {os.getpid()}, "num_files": 64, "file_bytes": 0, "address_space_bytes": null, "cpu_seconds": 5}}'
    )
    done = subprocess.run(
        [sys.executable, "-m", "parley.workers.confine", limits, "reach", str(tmp_path / "own.sock")],
        cwd=tmp_path, capture_output=True, check=True, env={"PYTHONPATH": f"{tmp_path}:{ROOT}/src"}, timeout=20,
    )  # fmt: skip
    assert len(done.stderr.split()) == 2
    assert (tmp_path / "own.sock").exists()
