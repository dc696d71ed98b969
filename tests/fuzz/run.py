"""One run of Schemathesis over the document of a running server, and what came of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.live import ROOT, LiveServer, running_server

CONFIG = Path(__file__).with_name("schemathesis.toml")
CATALOG = ROOT / "src" / "parley" / "bundled" / "catalog.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuzzed:
    """`report` is what Schemathesis wrote for people; `statuses` the HTTP statuses that each operation answered."""

    exit_status: int
    report: str
    statuses: Mapping[str, frozenset[int]]
    num_cases: int


@contextmanager
def echoing_server(folder: Path) -> Iterator[LiveServer]:
    """The product with the echo engine behind every name."""
    data = folder / "data"
    data.mkdir(mode=0o700, parents=True)
    text = CATALOG.read_text()
    usual = 'default_weights = "parley-mini"'
    assert usual in text
    (data / "catalog.toml").write_text(text.replace(usual, 'default_weights = "echo"'))
    with running_server(folder) as server:
        yield server


def fuzz(server: LiveServer, folder: Path, *, seed: int, num_examples: int) -> Fuzzed:
    """Call every operation of a fresh server with what fits the document and with what does not, then in sequences that use each other's ids.

    `num_examples` for each operation; those at the bounds of every field come besides, and the sequences.
    """
    events, config = folder / "events.ndjson", folder / "schemathesis.toml"
    # A sequence is short, and most of what one makes another may use only once.
    sequences = f"[phases.stateful.generation]\nmax-examples = {5 * num_examples}\n"
    config.write_text(CONFIG.read_text() + sequences)
    members = ",".join(_new_member(server, f"member{number}@example.com") for number in range(2))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)]
    command += ["run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {server.key}"]
    command += ["--seed", str(seed), "--max-examples", str(num_examples), "--no-color"]
    command += ["--report", "ndjson", "--report-ndjson-path", str(events)]
    environment = os.environ | {"PARLEY_FUZZ_MEMBERS": members}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    statuses, num_cases = read_answers(events)
    return Fuzzed(
        exit_status=done.returncode,
        report=done.stdout.decode(errors="replace"),
        statuses=statuses,
        num_cases=num_cases,
    )


def _new_member(server: LiveServer, email: str) -> str:
    """The id of a person who was invited and came."""
    command = [sys.executable, "-m", "parley.cli.main", "users", "invite", email, "--data", str(server.data)]
    link = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout
    body = {"token": link.strip().rpartition("#")[2], "password": "correct horse battery"}
    reply = requests.post(f"{server.base_url}/account/accept_invite", json=body, timeout=30)
    reply.raise_for_status()
    return str(reply.json()["user_id"])


def read_answers(events: Path) -> tuple[dict[str, frozenset[int]], int]:
    """The statuses that each operation answered, by Schemathesis' own record of a run, and the number of calls."""
    statuses: dict[str, set[int]] = {}
    num_cases = 0
    with events.open() as lines:
        for line in lines:
            scenario = json.loads(line).get("ScenarioFinished")
            if scenario is None:
                continue
            recorder = scenario["recorder"]
            # A sequence that found nothing to begin with has none.
            for case_id, interaction in recorder.get("interactions", {}).items():
                value = recorder["cases"][case_id]["value"]
                num_cases += 1
                reply = interaction["response"]
                if reply is not None:
                    statuses.setdefault(f"{value['method']} {value['path']}", set()).add(reply["status_code"])
    return {operation: frozenset(found) for operation, found in statuses.items()}, num_cases
