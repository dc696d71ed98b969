"""A server that answers as Parley does over HTTP, with what a test tells it to say, in a thread of its own."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

REFUSAL = {
    "error": {"message": "The model `x` does not exist.", "type": "invalid_request_error", "param": None, "code": None}
}


@dataclass(slots=True)
class FakeServer:
    """`requests` are the bodies that came, with their authorization; `frames` is what the next stream says."""

    url: str = ""
    status: int = 200
    frames: list[bytes] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    # The first answer stays open after its frames, until its client leaves.
    is_stalling: bool = False
    num_left: int = 0
    # What a call without a body is answered, and the calls that came: method and path as they were sent.
    answer_json: object = None
    calls: list[str] = field(default_factory=list)

    def say(self, *pieces: str, ending: bytes = b"data: [DONE]\n\n") -> None:
        """Answer with these pieces, in the shapes of both endpoints at once."""
        chunks = [{"choices": [{"index": 0, "text": piece, "delta": {"content": piece}}]} for piece in pieces]
        self.frames = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [ending]

    def say_heard(self, *pieces: str, is_whole: bool = True) -> None:
        """Answer with these pieces of a transcript, and its end where it is whole."""
        events = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces]
        if is_whole:
            events.append({"type": "transcript.text.done", "text": "".join(pieces)})
        self.frames = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.content_type == "multipart/form-data":
            form = await request.post()
            self.requests.append(
                {name: each.file.read() if isinstance(each, web.FileField) else each for name, each in form.items()}
            )
        else:
            self.requests.append(await request.json())
        self.authorizations.append(request.headers["authorization"])
        if self.status != 200:
            return web.json_response(REFUSAL, status=self.status, headers={"x-request-id": "req_1"})
        response = web.StreamResponse(headers={"x-parley-model": "fake-weights", "content-type": "text/event-stream"})
        await response.prepare(request)
        for frame in self.frames:
            await response.write(frame)
        if self.is_stalling:
            self.is_stalling = False
            try:
                await asyncio.sleep(30)
            finally:
                self.num_left += 1
        return response

    async def answer_call(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.rel_url.raw_path}")
        self.authorizations.append(request.headers["authorization"])
        return web.json_response(self.answer_json if self.status == 200 else REFUSAL, status=self.status)


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Serve on a free port of 127.0.0.1 until the context is left."""
    server, ready, loop = FakeServer(), threading.Event(), asyncio.new_event_loop()

    async def serve(stop: asyncio.Event) -> None:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", server.answer)
        application.router.add_post("/v1/completions", server.answer)
        application.router.add_post("/v1/audio/transcriptions", server.answer)
        application.router.add_get("/v1/replicas", server.answer_call)
        application.router.add_post("/v1/models/{model}/load", server.answer_call)
        application.router.add_post("/v1/models/{model}/unload", server.answer_call)
        runner = web.AppRunner(application, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stop)))
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
