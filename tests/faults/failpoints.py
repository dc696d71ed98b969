"""Failpoints: named places in the server at which a test lets it die, or lets its disk fail.

    FAIL_AT=settle-durable:3            ends the process at the third time, as SIGKILL does
    FAIL_AT=commit:7:error              the seventh commit fails as on a broken disk

The server that ships has none: the program that tests start (`fake_engine.program`) puts a counting one before or after
the named function, so that without the variable nothing costs anything, and no variable can end anybody's server.
"""

import functools
import inspect
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy.engine.default import DefaultDialect
from starlette.types import Message

from parley.api.dispatch import Dispatcher
from parley.domain.billing.books import Books
from parley.domain.billing.service import Billing
from parley.domain.idempotency.service import Replies
from parley.infra.writer import Writer
from parley.operations.settlements import Settlements
from parley.serving.execution import Execution

# What a process has that was killed.
KILLED = 137
_WRITER = "database-writer"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Before a function of the server is called, or after it has returned."""

    owner: type
    name: str
    is_after: bool = False
    # The thread on which alone it counts.
    thread: str | None = None


PLACES: Mapping[str, Place] = MappingProxyType(
    {
        "hold-opened": Place(owner=Books, name="open_hold", is_after=True),
        "round-begun": Place(owner=Execution, name="_generation", is_after=True),
        "round-left": Place(owner=Execution, name="_abort", is_after=True),
        "checkpoint": Place(owner=Settlements, name="checkpoint"),
        # The rows are written, the commit is to come.
        "checkpoint-written": Place(owner=Settlements, name="_keep_holds", is_after=True),
        "checkpoint-durable": Place(owner=Settlements, name="checkpoint", is_after=True),
        "settle": Place(owner=Settlements, name="settle"),
        "settle-written": Place(owner=Settlements, name="_keep_settled", is_after=True),
        "settle-durable": Place(owner=Settlements, name="settle", is_after=True),
        "reply-kept": Place(owner=Replies, name="keep_body", is_after=True),
        # Also while the orphans of the life before are settled.
        "holds-dropped": Place(owner=Billing, name="drop_holds", is_after=True),
        "commit": Place(owner=DefaultDialect, name="do_commit", thread=_WRITER),
        "committed": Place(owner=DefaultDialect, name="do_commit", is_after=True, thread=_WRITER),
        # Durable, and nobody was told.
        "commit-untold": Place(owner=Writer, name="_tell"),
    }
)
# Places in a reply: before the n-th part of a stream, before and after the last byte of any.
REPLY_PLACES = ("mid-stream", "last-byte", "last-byte-sent")
LABELS = (*PLACES, *REPLY_PLACES)


class _Failpoint:
    """Counts, and fails at the one time that it was made for."""

    def __init__(self, label: str, number: int, *, is_error: bool) -> None:
        self._label = label
        self._left = number
        self._is_error = is_error

    def reach(self) -> None:
        self._left -= 1
        if self._left:
            return
        os.write(2, f"failpoint {self._label}\n".encode())
        if not self._is_error:
            os._exit(KILLED)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error


def arm(wanted: str) -> None:
    """Put in the failpoint that FAIL_AT names: LABEL:NUMBER, or LABEL:NUMBER:error."""
    label, number, *how = wanted.split(":")
    failpoint = _Failpoint(label, int(number), is_error=how == ["error"])
    if label in REPLY_PLACES:
        _arm_replies(label, failpoint)
        return
    place = PLACES[label]

    def reach() -> None:
        if place.thread is None or threading.current_thread().name == place.thread:
            failpoint.reach()

    setattr(place.owner, place.name, _with(getattr(place.owner, place.name), reach, is_after=place.is_after))


def _with(function: Callable[..., Any], reach: Callable[[], None], *, is_after: bool) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*given: Any, **named: Any) -> Any:
            if not is_after:
                reach()
            result = await function(*given, **named)
            if is_after:
                reach()
            return result

        return awaited

    @functools.wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        if not is_after:
            reach()
        result = function(*given, **named)
        if is_after:
            reach()
        return result

    return called


def _arm_replies(label: str, failpoint: _Failpoint) -> None:
    answer = Dispatcher.__call__

    async def watched(self: Dispatcher, scope: Any, receive: Any, send: Any) -> None:
        if not scope["path"].startswith("/v1/"):
            # Whoever asks whether the server is ready.
            await answer(self, scope, receive, send)
            return

        async def sending(message: Message) -> None:
            is_body, is_last = message["type"] == "http.response.body", not message.get("more_body", False)
            if is_body and label == ("last-byte" if is_last else "mid-stream"):
                failpoint.reach()
            await send(message)
            if is_body and is_last and label == "last-byte-sent":
                failpoint.reach()

        await answer(self, scope, receive, sending)

    Dispatcher.__call__ = watched
