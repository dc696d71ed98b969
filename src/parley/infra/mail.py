"""Mail: one letter at a time, off the event loop, by SMTP or into the outbox folder."""

import asyncio
import contextlib
import itertools
import logging
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
_MAX_WAITING = 1_000
_MAX_IN_OUTBOX = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What somebody shall read. It may hold a code or a link that lets its reader in: it is never logged."""

    to: str
    subject: str
    text: str


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


class MailRoom:
    """Letters that wait to be carried, in their order. Whoever posts one does not wait, nor learns by time what became of it."""

    def __init__(self, carrier: Carrier, outbox: Outbox, *, sender: str, clock: Clock) -> None:
        self._carrier = carrier
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._waiting: asyncio.Queue[Letter | None] = asyncio.Queue(_MAX_WAITING + 1)

    def post(self, letter: Letter) -> None:
        """Have a letter carried. Raises Overloaded when too many wait."""
        if self._waiting.qsize() >= _MAX_WAITING:
            raise Overloaded("Too many mails are waiting to be sent.", retry_after_seconds=30.0)
        self._waiting.put_nowait(letter)

    async def run(self) -> None:
        """Carry letters until `close`, and those that wait then."""
        while (letter := await self._waiting.get()) is not None:
            try:
                await asyncio.to_thread(self._carry, letter)
            except Exception as error:  # noqa: BLE001 - one letter ends neither the server nor those behind it
                _log.error("a letter could not be written", extra={"error": type(error).__name__})

    def close(self) -> None:
        """Let `run` end behind the letters that wait."""
        self._waiting.put_nowait(None)

    def _carry(self, letter: Letter) -> None:
        message = self._message(letter)
        try:
            self._carrier.carry(message)
        except OSError as error:
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
