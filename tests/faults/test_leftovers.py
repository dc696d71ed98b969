"""Row C5, for an operator's own programs: what outlived a killed server is ended by the next one on the same folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parley.infra.leftovers import end_leftovers, leash
from tests.builders_faults import is_alive
from tests.faults.wire import eventually
from tests.live import running_server

# Its child is in a group of its own, and neither hears a word.
DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


@contextmanager
def program_of(data: Path) -> Iterator[list[int]]:
    """The process ids of a program, and of its child, that a server on this folder would have started."""
    command = [sys.executable, "-c", DEAF]
    environment = dict(os.environ) | leash(data)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield [process.pid, child]
    finally:
        for pid in (process.pid, child):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_c5_a_deaf_program_and_its_children_are_ended_by_the_next_server(tmp_path):
    ours, another = tmp_path / "ours", tmp_path / "another"
    with program_of(ours / "data") as leftover, program_of(another / "data") as foreign:
        os.kill(leftover[1], signal.SIGSTOP)
        ours.mkdir()
        with running_server(ours) as server:
            eventually(lambda: [is_alive(pid) for pid in leftover], lambda alive: not any(alive))
            assert all(is_alive(pid) for pid in foreign), "those of another folder have a server of their own"
            assert "leftovers_ended" in server.log.read_text()


def test_c5_where_nothing_is_left_over_nothing_is_ended(tmp_path):
    assert end_leftovers(tmp_path) == 0
