"""`make serve` as a person uses it: it starts at once the second time, and signals reach the server through it."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.live import KEY, free_port

ROOT = Path(__file__).resolve().parents[2]
FIRST_ANSWER_SECONDS = 3.0
INTERRUPT_SECONDS = 2.0
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of a server that has been started once, by `make`, which set up what it needs."""
    data = tmp_path_factory.mktemp("make") / "data"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "MAKE"))}
    settings = own | {"PARLEY_DATA": str(data), "PARLEY_BOOTSTRAP_KEY": KEY, "PARLEY_PORT": str(free_port())}
    subprocess.run(["make", ".venv/.ready-serve"], cwd=ROOT, env=settings, check=True)
    with make_serve(settings, data.parent / "first.log"):
        wait_for_answer(settings, PATIENCE_SECONDS)
    return settings


@contextmanager
def make_serve(settings: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make serve` in a process group of its own, as a terminal would start it; everything in it is gone at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "serve"], cwd=ROOT, env=settings, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_answer(settings: dict[str, str], seconds: float) -> float:
    """Seconds until a completion was answered."""
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        if answers(int(settings["PARLEY_PORT"])):
            return time.monotonic() - started
        time.sleep(0.02)
    pytest.fail(f"no answer within {seconds:.0f} s")


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = '{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}'
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_closed(port: int, seconds: float) -> float:
    started = time.monotonic()
    while is_open(port):
        assert time.monotonic() < started + seconds, f"the port was open after {seconds:.0f} s"
        time.sleep(0.02)
    return time.monotonic() - started


def test_the_second_start_answers_within_three_seconds(environment: dict[str, str], tmp_path: Path) -> None:
    seconds = []
    # The best of three: a machine that does something else at the moment is no fault of ours.
    for attempt in range(3):
        with make_serve(environment, tmp_path / f"{attempt}.log"):
            seconds.append(wait_for_answer(environment, PATIENCE_SECONDS))
        if seconds[-1] < FIRST_ANSWER_SECONDS:
            break
    assert min(seconds) < FIRST_ANSWER_SECONDS


def test_sigterm_to_make_stops_the_server(environment: dict[str, str], tmp_path: Path) -> None:
    with make_serve(environment, tmp_path / "server.log") as process:
        wait_for_answer(environment, PATIENCE_SECONDS)
        process.send_signal(signal.SIGTERM)
        wait_until_closed(int(environment["PARLEY_PORT"]), 5.0)
        process.wait(5)


def test_ctrl_c_ends_within_two_seconds_without_a_traceback(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with make_serve(environment, log) as process:
        wait_for_answer(environment, PATIENCE_SECONDS)
        # A terminal sends it to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        started = time.monotonic()
        process.wait(PATIENCE_SECONDS)
        assert time.monotonic() - started < INTERRUPT_SECONDS
    assert "Traceback" not in log.read_text(errors="replace")
    assert not is_open(int(environment["PARLEY_PORT"]))
