"""A streamed reply on the wire: its head first, each event at once, an error frame in place of [DONE] when it fails."""

import asyncio
import json
import logging

import pytest
from starlette.requests import Request

from parley.api.interrupt import Interruptible
from parley.api.reception import Reception
from parley.api.stream import EventStream, collect
from parley.core.clock import SystemClock
from parley.core.errors import Overloaded
from parley.core.events import Finished
from parley.core.usage import Outcome
from tests.builders_edge import HANG_SECONDS, QUICK, FakeEdge, Script, ask, connected, frames, request, running_edge
from tests.builders_serving import Gate, chat, make_bench


async def test_stream_ends_with_done_and_a_settled_run():
    async with running_edge(script=Script(num_events=3)) as edge:
        reply = await ask(edge, request())
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["x-parley-model"] == "fake"
        assert reply.body == b'data: {"text": "word "}\n\n' * 3 + b"data: [DONE]\n\n"
        assert edge.last_run.outcome is Outcome.FINISHED


async def test_head_is_sent_before_the_first_token():
    async with running_edge(script=Script(first_seconds=60.0)) as edge, connected(edge) as wire:
        await wire.send(request())
        head = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), HANG_SECONDS)
        assert head.startswith(b"HTTP/1.1 200 ")


async def test_each_event_is_sent_when_it_comes():
    """The next one is said only when the one before has been read."""
    steps = asyncio.Semaphore(0)
    async with running_edge(script=Script(num_events=3, steps=steps)) as edge, connected(edge) as wire:
        await wire.send(request())
        for number in (1, 2, 3):
            steps.release()
            await asyncio.wait_for(wire.reader.readuntil(b'data: {"text"'), HANG_SECONDS)
            assert edge.last_run.num_said == number
        steps.release()
        await asyncio.wait_for(wire.reader.readuntil(b"data: [DONE]"), HANG_SECONDS)


async def test_failure_in_a_stream_is_one_error_frame_without_done():
    async with running_edge(script=Script(fails_after=2)) as edge:
        reply = await ask(edge, request())
        assert reply.status == 200
        *words, last, end = reply.body.split(b"\n\n")
        assert (len(words), end) == (2, b"")
        error = json.loads(last.removeprefix(b"data: "))["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "server_error"
        assert b"[DONE]" not in reply.body
        assert b"secret" not in reply.body
        assert edge.last_run.outcome is Outcome.FAILED


async def test_stream_that_fails_before_its_first_event_keeps_the_http_status(caplog):
    async with running_edge(script=Script(fails_after=0)) as edge:
        reply = await ask(edge, request())
        assert reply.status == 500
        assert reply.headers["content-type"] == "application/json"
        assert reply.error["type"] == "server_error"
        assert edge.last_run.outcome is Outcome.FAILED


async def test_stream_that_fails_after_its_head_was_due_ends_with_an_error_frame(caplog):
    async with running_edge(script=Script(first_seconds=1.3, fails_after=1)) as edge:
        reply = await ask(edge, request())
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert reply.body.startswith(b"data: ")
        assert b'"server_error"' in reply.body


async def test_bug_in_a_stream_is_an_error_frame_and_a_traceback_in_the_log(caplog):
    script = Script(fails_after=1, error=lambda: ZeroDivisionError("0xdeadbeef"))
    async with running_edge(script=script) as edge:
        reply = await ask(edge, request())
        assert b'"server_error"' in reply.body
        assert b"0xdeadbeef" not in reply.body
        assert "ZeroDivisionError" in caplog.text
        assert edge.last_run.is_closed.is_set()


async def test_failure_of_a_plain_request_keeps_its_status(caplog):
    async with running_edge(script=Script(fails_after=1)) as edge:
        reply = await ask(edge, request(path="/v1/completions"))
        assert reply.status == 500
        assert reply.error["type"] == "server_error"
        assert [record.detail for record in caplog.records if record.message == "engine failed"]


async def test_plain_request_gets_everything_that_its_run_said():
    async with running_edge(script=Script(num_events=5)) as edge:
        reply = await ask(edge, request(path="/v1/completions"))
        assert reply.json() == {"text": "word " * 5}
        assert edge.last_run.outcome is Outcome.FINISHED


async def test_run_is_settled_before_the_last_byte_goes_out():
    script = Script(num_events=1, closing_seconds=0.3)
    async with running_edge(script=script) as edge, connected(edge) as wire:
        await wire.send(request())
        await wire.reply()
        assert edge.last_run.is_closed.is_set()


async def test_reply_that_never_starts_closes_its_run():
    """Between the handler's return and the reply's first step only a cancellation could come; the Run survives none."""
    edge = FakeEdge()
    stream = EventStream(edge.open_run(), frames, {})
    await stream.aclose()
    assert edge.last_run.outcome is Outcome.ABORTED


async def test_cancelling_at_any_step_closes_the_run():
    """The dispatcher is cancelled at every point at which it can be; no Run stays open."""
    caught = logging.getLogger("parley.api.reception")
    caught.setLevel(logging.ERROR)
    num_opened = 0
    for steps in range(40):
        edge = FakeEdge(script=Script(num_events=3, gap_seconds=0.0))
        await _cancel_after(edge, steps)
        num_opened += len(edge.runs)
        assert all(run.is_closed.is_set() for run in edge.runs), f"a Run leaked after {steps} steps"
    caught.setLevel(logging.NOTSET)
    assert num_opened > 20


async def _cancel_after(edge: FakeEdge, steps: int) -> None:
    app = edge.app(QUICK, SystemClock())
    scope = Request(
        {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "headers": [(b"host", b"a"), (b"authorization", b"Bearer sk-edge-tests-0123456789abcdef")],
            "client": ("127.0.0.1", 1),
        }
    ).scope
    never = asyncio.Event()
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        await asyncio.sleep(0)
        if messages:
            return messages.pop()
        return await never.wait()

    async def send(message):
        await asyncio.sleep(0)

    task = asyncio.ensure_future(app(scope, receive, send))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_interruption_raises_its_error_in_place_of_the_cancellation():
    body = Interruptible()
    asyncio.get_running_loop().call_soon(body.interrupt, Overloaded("enough"))
    with pytest.raises(Overloaded, match="enough"), body:
        await asyncio.sleep(10)
    assert asyncio.current_task().cancelling() == 0


async def test_interruption_after_the_body_does_nothing():
    with Interruptible() as body:
        pass
    body.interrupt(Overloaded("too late"))
    await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_interruption_of_what_is_finishing_does_nothing():
    with Interruptible() as body:
        body.let_finish()
        body.interrupt(Overloaded("too late"))
        await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("is_while_settling", [True, False])
async def test_a_reply_that_is_charged_is_given_whatever_ends_the_request_then(is_while_settling):
    """A key that is revoked, a server that stops: while the settlement is committed, and after it."""
    bench = make_bench()
    gate = bench.sink.gate = Gate()
    reception = Reception(request_id="req_1", received_at=0.0)
    http = Request({"type": "http", "state": {"reception": reception}}, asyncio.Event().wait)
    run = await bench.open(chat("hello"))

    async def answered():
        with reception.interruption:
            events = await collect(run, http)
            reception.interruption.interrupt(Overloaded("too late"))
            await asyncio.sleep(0)
            return events

    answering = asyncio.ensure_future(answered())
    await gate.reached.wait()
    if is_while_settling:
        reception.interruption.interrupt(Overloaded("late"))
        await asyncio.sleep(0)
    gate.open.set()
    assert isinstance((await answering)[-1], Finished)
    assert [record.outcome for record in bench.sink.records] == [Outcome.FINISHED]


async def test_a_reply_that_is_charged_is_given_to_be_kept_where_the_client_left_meanwhile():
    bench = make_bench()
    gate = bench.sink.gate = Gate()
    reception = Reception(request_id="req_1", received_at=0.0)

    async def left():
        await gate.reached.wait()
        return {"type": "http.disconnect"}

    run = await bench.open(chat("hello"))
    collecting = asyncio.ensure_future(collect(run, Request({"type": "http", "state": {"reception": reception}}, left)))
    # Until the client is watched, and its leaving seen.
    await asyncio.sleep(0.1)
    gate.open.set()
    assert isinstance((await collecting)[-1], Finished)


async def test_outer_interruption_wins_over_an_inner_one_that_fires_with_it():
    loop = asyncio.get_running_loop()
    outer, inner = Interruptible(), Interruptible()
    loop.call_soon(inner.interrupt, KeyError("inner"))
    loop.call_soon(outer.interrupt, ValueError("outer"))
    with pytest.raises(ValueError, match="outer"), outer, inner:
        await asyncio.sleep(10)


async def test_stream_that_waits_says_what_for_in_comments():
    async with running_edge(script=Script(first_seconds=2.5, progress="loading\nalpha (1 s)")) as edge:
        reply = await ask(edge, request())
        assert reply.status == 200
        comments, _, events = reply.body.partition(b"data: ")
        assert set(comments.split(b"\n\n")) == {b": loading alpha (1 s)", b""}
        assert events.endswith(b"data: [DONE]\n\n")


async def test_stream_that_waits_for_nothing_it_could_name_sends_no_comments():
    async with running_edge(script=Script(first_seconds=1.5)) as edge:
        assert (await ask(edge, request())).body.startswith(b"data: ")


async def test_stream_whose_first_event_comes_soon_sends_no_comments():
    async with running_edge(script=Script(progress="loading alpha (1 s)")) as edge:
        assert (await ask(edge, request())).body.startswith(b"data: ")
