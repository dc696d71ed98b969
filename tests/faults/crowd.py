"""Many clients at once: streams and plain requests, what each of them saw, and when."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.live import LiveServer

# A token that no prompt here has but for a poisoned one.
MARKER = 77
PATIENCE_SECONDS = 180.0


@dataclass(kw_only=True)
class Seen:
    """One request as its client saw it. Times are monotonic seconds."""

    model: str
    is_stream: bool
    status: int | None = None
    text: str = ""
    num_frames: int = 0
    has_done: bool = False
    errors: list[dict[str, Any]] = field(default_factory=list)
    error_at: float | None = None
    ended_at: float | None = None
    # The connection broke by itself.
    is_broken: bool = False
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_whole(self) -> bool:
        """Whether it was answered to its end, by its own model and no other."""
        is_own = bool(self.text) and set(self.text.split()) == {self.model}
        return self.status == 200 and not self.errors and is_own and (self.has_done or not self.is_stream)


class Crowd:
    """Clients of one server. `start` returns at once; the tasks are the crowd's, which is left when all have ended."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Crowd":
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._server.headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def start(self, model: str, *, max_tokens: int, is_stream: bool = True, prompt: Sequence[int] = (10, 11)) -> Seen:
        seen = Seen(model=model, is_stream=is_stream)
        body = {"model": model, "prompt": list(prompt), "max_tokens": max_tokens, "stream": is_stream}
        task = asyncio.create_task(self._ask(body, seen))
        self._tasks.append(task)
        seen.task = task  # type: ignore[attr-defined]
        return seen

    async def all_ended(self) -> None:
        """Wait for everybody who is there."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, body: dict[str, Any], seen: Seen) -> None:
        assert self._session is not None
        try:
            async with self._session.post(f"{self._server.base_url}/completions", json=body) as response:
                seen.status = response.status
                if response.status != 200 or not seen.is_stream:
                    _take_whole(await response.json(content_type=None), seen)
                else:
                    async for line in response.content:
                        _take_line(line, seen)
        except (aiohttp.ClientError, ConnectionError):
            seen.is_broken = True
        finally:
            seen.ended_at = time.monotonic()
            seen.has_begun.set()


def _take_whole(reply: dict[str, Any], seen: Seen) -> None:
    if "error" in reply:
        seen.errors.append(reply["error"])
        seen.error_at = time.monotonic()
    else:
        seen.text = reply["choices"][0]["text"]


def _take_line(line: bytes, seen: Seen) -> None:
    if not line.startswith(b"data: "):
        return
    payload = line.removeprefix(b"data: ").strip()
    if payload == b"[DONE]":
        seen.has_done = True
        return
    frame = json.loads(payload)
    if "error" in frame:
        seen.errors.append(frame["error"])
        seen.error_at = time.monotonic()
        return
    seen.num_frames += 1
    seen.text += frame["choices"][0]["text"]
    seen.has_begun.set()


async def begun(crowd: Sequence[Seen]) -> None:
    """Wait until each of them has had a token."""
    await asyncio.gather(*(seen.has_begun.wait() for seen in crowd))


async def leave_at_random(seen: Seen, chance: random.Random, *, most_seconds: float) -> None:
    """Go away some time after having come."""
    await asyncio.sleep(chance.random() * most_seconds)
    seen.task.cancel()  # type: ignore[attr-defined]


async def until(look: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether it came to be so in time."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
