"""Mail: one letter at a time, off the event loop, by SMTP or into the outbox folder."""

import asyncio
import contextlib
import itertools
import logging
import smtplib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Protocol

from parley.core.clock import Clock
from parley.core.errors import Overloaded
from parley.core.ids import new_id
from parley.infra.folder import write_private
from parley.infra.settings import Settings

_SMTP_SECONDS = 20.0
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


class Carrier(Protocol):
    """Takes a message to where it is read."""

    def carry(self, message: EmailMessage) -> None:
        """Blocks until it is there. Raises OSError (of which SMTPException is one)."""
        ...


class SmtpCarrier:
    """Hands each message to one SMTP server, on a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def carry(self, message: EmailMessage) -> None:
        """See Carrier."""
        settings = self._settings
        host, port = settings.smtp_host or "localhost", settings.smtp_port
        if settings.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port, timeout=_SMTP_SECONDS, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(host, port, timeout=_SMTP_SECONDS)
        with server:
            if settings.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if settings.smtp_user is not None and settings.smtp_password is not None:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(message)


class Outbox:
    """A folder of messages that the operator reads with `parley outbox`; the oldest make room for new ones."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._numbers = itertools.count()

    def carry(self, message: EmailMessage) -> None:
        """See Carrier."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # Of fixed width: names in the order of time, and of two in one moment in the order in which they came.
        name = f"{int(self._clock.now() * 1_000_000):020d}-{next(self._numbers):06d}-{new_id('')[:8]}.eml"
        write_private(self._folder / name, message.as_bytes(policy=SMTP).decode("ascii"))
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

    def __init__(self, carrier: Carrier, outbox: Outbox, *, sender: str, clock: Clock) -> None:
        self._carrier = carrier
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._waiting: asyncio.PriorityQueue[_Waiting] = asyncio.PriorityQueue(_MAX_WAITING + 1)
        self._numbers = itertools.count()
        # Places that are taken, by the organization whose invites they are for; None: for codes and resets.
        self._taken: Counter[str | None] = Counter()
        # Whether the server stops, and whether the last letter could not be sent.
        self._is_closing = False
        self._is_failing = False

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
                    await asyncio.to_thread(self._carry, letter)
            except Exception as error:  # noqa: BLE001 - one letter ends neither the server nor those behind it
                _log.error("a letter could not be written", extra={"error": type(error).__name__})
            self._give_back(next_one.organization_id)

    def close(self) -> None:
        """Let `run` end behind the letters that wait. From the first on that cannot be sent they go to the outbox."""
        self._is_closing = True
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

    def _carry(self, letter: Letter) -> None:
        message = self._message(letter)
        # A server that stops does not wait for each letter until another server has not answered.
        carrier = self._outbox if self._is_closing and self._is_failing else self._carrier
        try:
            carrier.carry(message)
            if carrier is self._carrier:
                self._is_failing = False
        except OSError as error:
            self._is_failing = True
            _log.error("mail could not be sent, it is in the outbox", extra={"error": type(error).__name__})
            with contextlib.suppress(OSError):
                self._outbox.carry(message)

    def _message(self, letter: Letter) -> EmailMessage:
        """The letter with its head. Raises ValueError where a mail program would read another address out of it."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now(), UTC))
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2] or "localhost")
        message.set_content(letter.text)
        if [address.addr_spec for address in message["To"].addresses] != [letter.to]:
            raise ValueError("the address is read as another one")
        return message


@asynccontextmanager
async def mail_room(settings: Settings, outbox: Path, clock: Clock) -> AsyncIterator[MailRoom]:
    """A mail room that works while the context is open; what waits at its end is carried first."""
    folder = Outbox(outbox, clock)
    carrier: Carrier = folder if settings.smtp_host is None else SmtpCarrier(settings)
    room = MailRoom(carrier, folder, sender=settings.mail_from, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(room.run())
        try:
            yield room
        finally:
            room.close()
