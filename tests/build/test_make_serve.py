"""`make serve` as a person uses it: it sets nothing up the second time, and signals reach the server through it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.live import KEY, free_port

ROOT = Path(__file__).resolve().parents[2]
STAMP = ".venv/.ready-serve"
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of a server that has been started once, by `make`, which set up what it needs."""
    data = tmp_path_factory.mktemp("make") / "data"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "MAKE"))}
    settings = own | {"PARLEY_DATA": str(data), "PARLEY_BOOTSTRAP_KEY": KEY, "PARLEY_PORT": str(free_port())}
    subprocess.run(["make", STAMP], cwd=ROOT, env=settings, check=True)
    with make_serve(settings, data.parent / "first.log"):
        wait_for_answer(settings)
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


def wait_for_answer(settings: dict[str, str]) -> None:
    """Return when a completion was answered."""
    wait_until(lambda: answers(int(settings["PARLEY_PORT"])), "no completion was answered")


def wait_until(is_so: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"{complaint} within {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.02)


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


@contextmanager
def streaming(settings: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
    """A reply whose stream has begun; a forced token keeps the model talking for long."""
    wait_for_answer(settings)
    connection = http.client.HTTPConnection("127.0.0.1", int(settings["PARLEY_PORT"]), timeout=PATIENCE_SECONDS)
    body = {"model": "text-davinci-003", "prompt": "Once", "max_tokens": 4000, "logit_bias": {300: 100}, "stream": True}
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    with closing(connection):
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        response = connection.getresponse()
        assert response.readline().startswith(b"data: ")
        yield response


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_second_start_sets_nothing_up_and_answers(environment: dict[str, str], tmp_path: Path) -> None:
    data = Path(environment["PARLEY_DATA"])
    made = {name: (data / name).stat().st_ino for name in ("owner.key", "parley.db")}
    is_all_made = subprocess.run(["make", "--question", STAMP], cwd=ROOT, env=environment, check=False).returncode == 0
    assert is_all_made
    with make_serve(environment, tmp_path / "second.log"):
        wait_for_answer(environment)
    assert {name: (data / name).stat().st_ino for name in made} == made


def test_sigterm_to_make_stops_the_server(environment: dict[str, str], tmp_path: Path) -> None:
    with make_serve(environment, tmp_path / "server.log") as process:
        wait_for_answer(environment)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_open(int(environment["PARLEY_PORT"])), "the port was not closed")
        process.wait(PATIENCE_SECONDS)


def test_ctrl_c_waits_for_no_drain_window_and_leaves_no_traceback(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with make_serve(environment | {"PARLEY_DRAIN_SECONDS": "600"}, log) as process, streaming(environment) as reply:
        # A terminal sends it to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        rest = reply.read()
        process.wait(PATIENCE_SECONDS)
    assert b'"error"' in rest
    assert b"[DONE]" not in rest
    assert "Traceback" not in log.read_text(errors="replace")
    assert not is_open(int(environment["PARLEY_PORT"]))
