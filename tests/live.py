"""The real product as a test meets it: `parley serve` in a process of its own, with a data folder of its own."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEY = "sk-live-tests-0123456789abcdef"
ROOT = Path(__file__).parents[1]
PARLEY_SERVE = ("parley.cli.main", "serve")
READY_SECONDS = 180.0
STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A running Parley: where it listens, the owner's key, and what a test may look at afterwards."""

    host: str
    port: int
    key: str
    data: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What a client of OpenAI's is pointed at."""
        return f"{self.url}/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_server(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    *,
    program: Sequence[str] = PARLEY_SERVE,
    under: Sequence[str] = (),
) -> Iterator[LiveServer]:
    """Start Parley under `folder`, wait until it is ready, stop it by SIGTERM. `settings` are further PARLEY_* variables.

    `program` is a module with its arguments, which serves as `parley serve` does; `under` is the beginning of a command
    line that runs the rest of it as its own process.
    """
    port = free_port()
    data, log = folder / "data", folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    environment |= {
        "PARLEY_HOST": "127.0.0.1",
        "PARLEY_PORT": str(port),
        "PARLEY_DATA": str(data),
        "PARLEY_BOOTSTRAP_KEY": KEY,
        "PARLEY_DRAIN_SECONDS": "1",
    }
    environment |= settings or {}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*under, sys.executable, "-m", *program],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, port, log)
        yield LiveServer(host="127.0.0.1", port=port, key=KEY, data=data, log=log, process=process)
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready:\n{_tail(log)}")
        if _answers(port, "/ready"):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server was not ready after {READY_SECONDS:.0f} s:\n{_tail(log)}")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def worker_pid(server: LiveServer, module: str) -> int:
    """The one worker of this server that runs `module`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == server.process.pid and module.encode() in command:
            return int(folder.name)
    raise AssertionError(f"the server has no worker {module}")


def engine_pid(server: LiveServer) -> int:
    """Its llama worker."""
    return worker_pid(server, "parley.workers.llama")
