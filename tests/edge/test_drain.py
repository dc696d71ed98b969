"""How the server stops: what still runs may end, what comes is refused, what lasts too long gets a frame. Real processes."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from parley.api.listener import AddressUnusable, open_listener
from tests.builders_edge import HANG_SECONDS, FakeEdge, Reply, Wire, ask, connected, request

ROOT = Path(__file__).parents[2]
# The windows that a test does not set end when nothing runs any more, or not before the test gives up.
TIMES = {"refuse_seconds": 0.4, "drain_seconds": 60.0, "interrupt_seconds": 0.5, "settle_seconds": 2.0}
SHORT = {"num_events": 20, "gap_seconds": 0.05}
ENDLESS = {"num_events": 10_000, "gap_seconds": 0.05}


@dataclass(kw_only=True)
class Program:
    """A running edge program."""

    process: asyncio.subprocess.Process
    edge: FakeEdge

    async def run_opened(self) -> None:
        """Wait until it has opened a Run that was not waited for before."""
        line = await asyncio.wait_for(self.process.stdout.readline(), HANG_SECONDS)
        assert line == b"opened\n"

    async def end(self) -> tuple[int, list[str], str]:
        """Exit code, outcomes of the Runs, what it said on stderr."""
        out, err = await asyncio.wait_for(self.process.communicate(), HANG_SECONDS)
        last = out.splitlines()[-1] if out else b"[]"
        return self.process.returncode, json.loads(last), err.decode()


@asynccontextmanager
async def program(script: dict | None = None, times: dict | None = None, port: int = 0) -> AsyncIterator[Program]:
    options = json.dumps({"port": port, "script": script or SHORT, "times": TIMES | (times or {})})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.edge.edge_program",
        options,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        line = await asyncio.wait_for(process.stdout.readline(), HANG_SECONDS)
        assert line.startswith(b"listening "), (await process.communicate())[1].decode()
        yield Program(process=process, edge=FakeEdge(port=int(line.split()[1])))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def started_stream(wire: Wire) -> None:
    await wire.send(request())
    await wire.reader.readuntil(b'data: {"text"')


async def refused(edge: FakeEdge) -> Reply:
    """The first reply that refuses a request because the server stops."""
    async with asyncio.timeout(HANG_SECONDS):
        while (reply := await ask(edge, request("GET", "/v1/models"))).status == 200:
            await asyncio.sleep(0.005)
    assert reply.status == 503
    return reply


async def listener_closed(edge: FakeEdge) -> None:
    """Wait until nobody listens any more."""
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            try:
                async with connected(edge):
                    await asyncio.sleep(0.02)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                # It was in the queue of the listener when that was closed.
                continue


async def test_stream_inside_the_window_is_not_cut():
    async with program(SHORT) as it, connected(it.edge) as wire:
        await started_stream(wire)
        it.process.send_signal(signal.SIGTERM)
        rest = await wire.rest()
        assert b"data: [DONE]" in rest
        assert rest.count(b'"text"') == 19
        code, outcomes, err = await it.end()
        assert (code, outcomes) == (0, ["finished"])
        assert "Traceback" not in err


async def test_stream_beyond_the_window_gets_an_error_frame_and_is_settled():
    async with program(ENDLESS, {"drain_seconds": 0.5}) as it, connected(it.edge) as wire:
        await started_stream(wire)
        started = time.monotonic()
        it.process.send_signal(signal.SIGTERM)
        rest = await wire.rest()
        assert b"data: [DONE]" not in rest
        frame = next(line for line in rest.splitlines() if b'"error"' in line)
        error = json.loads(frame.removeprefix(b"data: "))["error"]
        assert error["type"] == "service_unavailable_error"
        code, outcomes, err = await it.end()
        assert (code, outcomes) == (0, ["cut"])
        assert "Traceback" not in err
        # Not before the window was over; the script would go on for minutes.
        assert time.monotonic() - started >= 0.5


async def test_plain_request_beyond_the_window_is_503():
    async with program({"first_seconds": 60.0}, {"drain_seconds": 0.3}) as it, connected(it.edge) as wire:
        await wire.send(request(path="/v1/completions"))
        await it.run_opened()
        it.process.send_signal(signal.SIGTERM)
        reply = await wire.reply()
        assert reply.status == 503
        assert float(reply.headers["retry-after"]) > 0
        assert (await it.end())[:2] == (0, ["cut"])


async def test_new_requests_are_503_for_a_while_and_then_refused_by_the_listener():
    async with program(SHORT, {"refuse_seconds": 1.5}) as it, connected(it.edge) as wire:
        await started_stream(wire)
        it.process.send_signal(signal.SIGTERM)
        reply = await refused(it.edge)
        assert reply.error["code"] == "server_is_overloaded"
        assert float(reply.headers["retry-after"]) > 0
        assert (await ask(it.edge, request("GET", "/health"))).status == 200
        await listener_closed(it.edge)
        with pytest.raises(ConnectionRefusedError):
            await ask(it.edge, request())
        assert b"data: [DONE]" in await wire.rest()
        assert (await it.end())[:2] == (0, ["finished"])


async def test_kept_alive_connection_is_closed_when_the_listener_is():
    async with program(SHORT) as it, connected(it.edge) as idle:
        await idle.send(request("GET", "/health"))
        await idle.reply()
        it.process.send_signal(signal.SIGTERM)
        assert await idle.rest() == b""
        assert (await it.end())[0] == 0


async def test_second_sigterm_skips_to_the_end_of_the_window():
    async with program(ENDLESS, {"drain_seconds": 600.0, "refuse_seconds": 600.0}) as it, connected(it.edge) as wire:
        await started_stream(wire)
        it.process.send_signal(signal.SIGTERM)
        await refused(it.edge)
        it.process.send_signal(signal.SIGTERM)
        rest = await wire.rest()
        assert b'"error"' in rest
        assert (await it.end())[:2] == (0, ["cut"])


async def test_second_signal_in_the_window_ends_it():
    async with program(ENDLESS, {"drain_seconds": 600.0, "refuse_seconds": 0.0}) as it, connected(it.edge) as wire:
        await started_stream(wire)
        it.process.send_signal(signal.SIGTERM)
        await listener_closed(it.edge)
        it.process.send_signal(signal.SIGINT)
        assert (await it.end())[:2] == (0, ["cut"])


@pytest.mark.parametrize(("is_busy", "outcomes"), [(False, []), (True, ["cut"])])
async def test_ctrl_c_has_a_short_window_of_its_own_and_leaves_no_traceback(is_busy, outcomes):
    windows = {"refuse_seconds": 600.0, "drain_seconds": 600.0, "interrupt_seconds": 0.5}
    async with program(ENDLESS, windows) as it, connected(it.edge) as wire:
        if is_busy:
            await started_stream(wire)
        it.process.send_signal(signal.SIGINT)
        code, ended, err = await it.end()
        assert (code, ended) == (0, outcomes)
        assert "Traceback" not in err


async def test_client_that_never_reads_does_not_keep_the_server_alive():
    script = {"num_events": 1_000_000, "text": "x" * 8192}
    async with program(script, {"drain_seconds": 0.2, "settle_seconds": 0.5}) as it:
        silent = socket.create_connection(("127.0.0.1", it.edge.port))
        silent.sendall(request())
        await it.run_opened()
        it.process.send_signal(signal.SIGTERM)
        code, outcomes, _ = await it.end()
        assert (code, outcomes) == (0, ["cut"])
        silent.close()


async def test_busy_port_is_named_with_the_setting_that_changes_it():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AssertionError) as failure:
            async with program(port=port):
                pass
        line = str(failure.value).splitlines()[0]
        assert f"Port {port} of 127.0.0.1 is in use by another program. Set PARLEY_PORT" in line
        assert "Traceback" not in str(failure.value)


async def test_second_server_on_the_same_port_is_refused():
    """With SO_REUSEPORT they would share the port, and each get half of the connections."""
    async with program() as it:
        with pytest.raises(AddressUnusable, match="PARLEY_PORT"):
            open_listener("127.0.0.1", it.edge.port)


def test_port_of_the_system_and_a_foreign_address_are_explained():
    with pytest.raises(AddressUnusable, match="PARLEY_HOST"):
        open_listener("192.0.2.1", 0)
    with pytest.raises(AddressUnusable, match="PARLEY_HOST"):
        open_listener("no such host", 0)
