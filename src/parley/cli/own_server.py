"""A server for the time of one command: quiet, on a free port, gone when the command ends."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from parley.cli.failures import CommandFailed

_STOP_SECONDS = 30.0


@contextmanager
def own_server(data: Path) -> Iterator[str]:
    """The URL of a server on this data folder that answers. Raises CommandFailed with its own words when it cannot start."""
    with TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "parley.cli.main", "serve", "--data", str(data)),
                *("--host", "127.0.0.1", "--port", str(_free_port()), "--log-level", "warning", "--log-format", "text"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl-C at the terminal is for the command, which stops an answer by it, and not for the server.
            start_new_session=True,
        )
        try:
            with _ended_by_signals():
                yield _wait_until_ready(process, log)
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    """The URL in the line that a server writes when its first model answers."""
    for line in process.stdout or ():
        _, _, address = line.decode().partition("Parley answers at ")
        if address:
            return address.strip().removesuffix("/v1")
    log.seek(0)
    words = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    raise CommandFailed("no server could be started: " + (words[-1].removeprefix("parley: ") if words else "it ended"))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a closed terminal, end this command by way of its clean-up."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # As Ctrl-C does: within two seconds.
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
