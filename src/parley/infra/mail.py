"""Mail: one letter at a time, off the event loop, by SMTP or into the outbox folder."""

import asyncio
import itertools
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime, make_msgid
from pathlib import Path

from parley.core.clock import Clock
from parley.core.errors import Overloaded
from parley.core.ids import new_id
from parley.infra.folder import write_private
from parley.infra.settings import Settings
from parley.infra.smtp import LETTER_SECONDS, SmtpCarrier

# How long a server that stops goes on sending what waits.
_CLOSING_SECONDS = 5.0
# Half of them are for invites, of which one organization has a fifth; the other half is for codes and resets.
_MAX_WAITING = 1_000
_MAX_IN_OUTBOX = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What somebody shall read. It may hold a code or a link that lets its reader in: it is never logged."""

    to: str
    subject: str
    text: str


_Letter = Letter | Callable[[], Awaitable[Letter | None]]


class Outbox:
    """A folder of messages that the operator reads with `parley outbox`; the oldest make room for new ones."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._numbers = itertools.count()

    def carry(self, message: EmailMessage) -> None:
        """Blocks until it is there. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # Of fixed width: names in the order of time, and of two in one moment in the order in which they came.
        name = f"{int(self._clock.now() * 1_000_000):020d}-{next(self._numbers):06d}-{new_id('')[:8]}.eml"
        # In UTF-8, which every text can be written in: a name with an umlaut in it is no reason to lose a letter.
        write_private(self._folder / name, message.as_bytes(policy=SMTPUTF8).decode("utf-8", "replace"))
        for old in sorted(self._folder.glob("*.eml"))[:-_MAX_IN_OUTBOX]:
            old.unlink(missing_ok=True)


@dataclass(slots=True)
class Place:
    """A place for one letter: what lies on it when it is left is carried. One that is yet to be written is written then, so
    that who left it does not wait for that."""

    letter: _Letter | None = None


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    """What waits, in its order: codes and resets, invites, and the end of work. `organization_id`: whose invite it is."""

    rank: int
    number: int
    letter: _Letter | None = field(compare=False)
    organization_id: str | None = field(compare=False)


class MailRoom:
    """Letters that wait to be carried. Whoever leaves one does not wait, nor learns by time what became of it."""

    def __init__(self, smtp: SmtpCarrier | None, outbox: Outbox, *, sender: str, clock: Clock) -> None:
        """Built on the loop that `run` is run on. Without `smtp` every letter goes to the outbox."""
        self._smtp = smtp
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._waiting: asyncio.PriorityQueue[_Waiting] = asyncio.PriorityQueue(_MAX_WAITING + 1)
        self._numbers = itertools.count()
        # Places that are taken, by the organization whose invites they are for; None: for codes and resets.
        self._taken: Counter[str | None] = Counter()
        # While the server stops the mail server is given up at its first failure, and after a few seconds.
        self._is_closing = False
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @contextmanager
    def place(self, organization_id: str | None = None) -> Iterator[Place]:
        """A place for an organization's invite, or for a code or a reset. Raises Overloaded where there is none left.

        It is taken before anything is kept that a letter shall tell of, and given back where it is left empty.
        """
        if not self._has_room(organization_id):
            raise Overloaded("Too many mails are waiting to be sent.", retry_after_seconds=30.0)
        self._taken[organization_id] += 1
        place = Place()
        try:
            yield place
        finally:
            if place.letter is None:
                self._give_back(organization_id)
            else:
                self._put(0 if organization_id is None else 1, place.letter, organization_id)

    async def run(self) -> None:
        """Carry letters until `close`, and those that wait then."""
        while True:
            next_one = await self._waiting.get()
            if next_one.letter is None:
                return
            try:
                letter = next_one.letter if isinstance(next_one.letter, Letter) else await next_one.letter()
                if letter is not None:
                    await self._carry(self._message(letter))
            except Exception as error:  # noqa: BLE001 - one letter ends neither the server nor those behind it
                _log.error("a letter could not be written", extra={"error": type(error).__name__})
            self._give_back(next_one.organization_id)

    def close(self) -> None:
        """Let `run` end behind the letters that wait: what is not sent in a few seconds goes to the outbox."""
        self._is_closing = True
        asyncio.get_running_loop().call_later(_CLOSING_SECONDS, self._give_up)
        self._put(2, None, None)

    def _has_room(self, organization_id: str | None) -> bool:
        half = _MAX_WAITING // 2
        if organization_id is None:
            return self._taken[None] < half
        num_invites = self._taken.total() - self._taken[None]
        return num_invites < half and self._taken[organization_id] < _MAX_WAITING // 10

    def _put(self, rank: int, letter: _Letter | None, organization_id: str | None) -> None:
        self._waiting.put_nowait(_Waiting(rank, next(self._numbers), letter, organization_id))

    def _give_back(self, organization_id: str | None) -> None:
        self._taken[organization_id] -= 1
        if not self._taken[organization_id]:
            del self._taken[organization_id]

    def _give_up(self) -> None:
        if not self._given_up.done():
            self._given_up.set_result(None)

    async def _carry(self, message: EmailMessage) -> None:
        """Send it, or put it into the outbox, whatever kept it from being sent. Raises OSError where neither can be."""
        if self._smtp is not None and not self._given_up.done():
            try:
                await self._send(self._smtp, message)
            except Exception as error:  # noqa: BLE001 - a letter is not lost for a reason that nobody thought of
                _log.error("mail could not be sent, it is in the outbox", extra={"error": type(error).__name__})
                if self._is_closing:
                    self._give_up()
            else:
                return
        await asyncio.to_thread(self._outbox.carry, message)

    async def _send(self, smtp: SmtpCarrier, message: EmailMessage) -> None:
        """Raises TimeoutError when its time is up, though it may be sent yet, and what `smtp.carry` raises."""
        sending = _in_thread(lambda: smtp.carry(message))
        try:
            await asyncio.wait({sending, self._given_up}, timeout=LETTER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise TimeoutError
            sending.result()
        finally:
            sending.cancel()

    def _message(self, letter: Letter) -> EmailMessage:
        """The letter with its head. Raises ValueError where a mail program would read another address out of it."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now(), UTC))
        message["Message-ID"] = make_msgid(domain=message["From"].addresses[0].domain)
        message.set_content(letter.text)
        if [address.addr_spec for address in message["To"].addresses] != [letter.to]:
            raise ValueError("the address is read as another one")
        return message


@asynccontextmanager
async def mail_room(settings: Settings, outbox: Path, clock: Clock) -> AsyncIterator[MailRoom]:
    """A mail room that works while the context is open; what waits at its end is carried first."""
    smtp = None if settings.smtp_host is None else SmtpCarrier(settings)
    room = MailRoom(smtp, Outbox(outbox, clock), sender=settings.mail_from, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(room.run())
        try:
            yield room
        finally:
            room.close()


def _in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    """What becomes of `work`, which is done in a thread that the end of the process does not wait for: no deadline ends a
    look-up of a name, and the threads of the loop are waited for."""
    future: Future[None] = Future()
    # Who waits may give up; the thread has somewhere to put its result all the same.
    future.set_running_or_notify_cancel()

    def work_and_tell() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - carried to who waits
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=work_and_tell, name="mail", daemon=True).start()
    return asyncio.wrap_future(future)
