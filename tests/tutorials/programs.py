"""Starts the programs of the tutorials: whole files and command lines, changed in nothing but the address and the key."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.live import LiveServer

HERE = Path(__file__).parent
CLIENT_2023 = HERE.parents[1] / ".venv-openai-2023" / "bin"
SECONDS = 120


def run(
    command: Sequence[str | Path], server: LiveServer, *, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that finds the server by the variables that OpenAI's own tools read."""
    environment = os.environ | {
        "OPENAI_API_BASE": server.base_url,
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": server.key,
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(
        [str(word) for word in command],
        check=False,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def output_of(command: Sequence[str | Path], server: LiveServer) -> str:
    """What a command wrote; it must end well."""
    done = run(command, server)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def program_2023(name: str, server: LiveServer, *words: str) -> str:
    """The output of one program of 2023, run with the client of 2023."""
    return output_of([CLIENT_2023 / "python", HERE / "openai_2023" / f"{name}.py", *words], server)


def command_2023(server: LiveServer, *words: str) -> str:
    """The output of the client's own command line of 2023."""
    return output_of([CLIENT_2023 / "openai", *words], server)


def program(name: str, server: LiveServer) -> str:
    """The output of a program that needs nothing but `requests`."""
    return output_of([sys.executable, HERE / "plain" / f"{name}.py"], server)


def lines(output: str) -> dict[str, str]:
    """`name: rest` lines of an output, by name; the last of a name counts."""
    return {name: rest for name, _, rest in (line.partition(": ") for line in output.splitlines())}
