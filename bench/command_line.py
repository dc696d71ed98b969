"""What an operator does with `parley` before something is measured."""

import subprocess
import sys

from tests.live import LiveServer


def parley(server: LiveServer, *words: str) -> str:
    """What the command line says to these words, on the data folder of a running server."""
    command = [sys.executable, "-m", "parley.cli.main", *words, "--data", str(server.data)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
