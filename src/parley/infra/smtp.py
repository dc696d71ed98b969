"""SMTP: one letter at a time, in a bounded time and of bounded replies, whatever the server does."""

import smtplib
import socket
import ssl
import time
from email.message import EmailMessage

from parley.infra.settings import Settings

LETTER_SECONDS = 60.0
_SILENCE_SECONDS = 20.0
# What a server says over a letter is some hundred bytes.
_MAX_REPLY_BYTES = 64 * 1024


class SmtpCarrier:
    """Hands each message to one SMTP server, on a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def carry(self, message: EmailMessage) -> None:
        """Blocks until the server has it, or for about LETTER_SECONDS. Raises OSError (of which SMTPException is one), and
        ValueError for what SMTP cannot say."""
        settings = self._settings
        host, port = settings.smtp_host or "localhost", settings.smtp_port
        if settings.smtp_security == "tls":
            server: smtplib.SMTP = _BoundedTlsSmtp(
                host, port, timeout=_SILENCE_SECONDS, context=ssl.create_default_context()
            )
        else:
            server = _BoundedSmtp(host, port, timeout=_SILENCE_SECONDS)
        with server:
            if settings.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if settings.smtp_user is not None and settings.smtp_password is not None:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(message)


class _Replies:
    """What a server says, in place of the file that smtplib would read it from: there each byte may take as long as silence
    may, and a reply may have any number of lines."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        self._until = until
        self._held = b""
        self._num_bytes = 0

    def readline(self, limit: int) -> bytes:
        """The next line, or as much of it as `limit` or the end leaves. Raises OSError for what is too late or too much."""
        while b"\n" not in self._held and len(self._held) < limit and (part := self._receive()):
            self._held += part
        end = self._held.find(b"\n", 0, limit) + 1 or limit
        line, self._held = self._held[:end], self._held[end:]
        return line

    def close(self) -> None:
        """Nothing: the connection is smtplib's."""

    def _receive(self) -> bytes:
        seconds_left = self._until - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError("the server takes too long over a letter")
        self._connection.settimeout(min(seconds_left, _SILENCE_SECONDS))
        part = self._connection.recv(4096)
        self._num_bytes += len(part)
        if self._num_bytes > _MAX_REPLY_BYTES:
            raise OSError("the server says too much")
        return part


class _BoundedSmtp(smtplib.SMTP):
    """A conversation that ends LETTER_SECONDS after it began."""

    _until: float | None = None

    def getreply(self) -> tuple[int, bytes]:
        """As smtplib's. The first one is the server's greeting, with which the conversation begins."""
        if self._until is None:
            self._until = time.monotonic() + LETTER_SECONDS
        # smtplib gives the file up where TLS begins.
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock, self._until)
        return super().getreply()


class _BoundedTlsSmtp(_BoundedSmtp, smtplib.SMTP_SSL):
    """The same, in TLS from its first byte."""
