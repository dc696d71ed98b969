"""A Parley server of the evaluation's own: started on a free port with an empty data folder, stopped at the end."""

import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_START_SECONDS = 120
_STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers, and the key for it."""

    base_url: str
    api_key: str


@contextmanager
def serving() -> Iterator[Address]:
    """The bundled model behind Parley's HTTP API. Raises RuntimeError when the server does not become ready."""
    port, api_key = _free_port(), f"sk-evaluation-{secrets.token_hex(16)}"
    with tempfile.TemporaryDirectory(prefix="parley-evaluation-") as data:
        command = [sys.executable, "-m", "parley.cli.main", "serve", "--port", str(port), "--data", data]
        command += ["--bootstrap-key", api_key, "--drain-seconds", "1", "--log-level", "warning"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_until_ready(server, f"http://127.0.0.1:{port}/ready")
            yield Address(f"http://127.0.0.1:{port}/v1", api_key)
        finally:
            server.terminate()
            server.wait(_STOP_SECONDS)


def _wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up_at:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.25)
    raise RuntimeError(f"the server was not ready within {_START_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
