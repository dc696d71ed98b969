"""The gateway peer: a LiteLLM proxy in an environment of its own, in front of a server that answers at once.

It runs with a master key and without a database: its database client fetches programs from a host of its own at set-up, which a
machine with a package registry alone cannot reach. So it keeps no keys, budgets or spend: what it costs here is the least.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import running, running_command
from tests.live import KEY, free_port

VERSION = "1.106.2"
MODEL = "parley-echo"
_CONFIGURATION = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/echo, api_base: "http://127.0.0.1:{upstream}/v1", api_key: none}}
litellm_settings: {{num_retries: 0, telemetry: false}}
general_settings: {{master_key: "{key}"}}
"""


def install(cache: Path) -> Path | None:
    """The proxy's program, installed at the first call; None, with the reason told, where that cannot be."""
    folder = cache / f"litellm-{VERSION}"
    program = folder / "bin" / "litellm"
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    venv.create(folder, with_pip=True)
    command = [
        str(folder / "bin" / "pip"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        f"litellm[proxy]=={VERSION}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        print(f"left out: LiteLLM {VERSION} could not be installed: {reason}", file=sys.stderr, flush=True)
        program.unlink(missing_ok=True)
        return None
    return program


@contextmanager
def running_proxy(program: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """The proxy before a bare server until the block ends: its port, and its process id."""
    folder.mkdir(parents=True)
    upstream, port = free_port(), free_port()
    configuration = folder / "litellm.yaml"
    configuration.write_text(_CONFIGURATION.format(model=MODEL, upstream=upstream, key=KEY))
    command = [str(program), "--config", str(configuration), "--host", "127.0.0.1", "--port", str(port)]
    # Its list of prices is in the package; without this it is fetched.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": f"{program.parent}:{os.environ['PATH']}"}
    with (
        running("bench.bare", str(upstream), address=upstream),
        running_command(command, address=port, environment=environment, log=folder / "litellm.log") as pid,
    ):
        yield port, pid
