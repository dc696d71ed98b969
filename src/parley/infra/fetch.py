"""Getting from a URL of the operator's: the few redirects that are followed are each looked at, and so is every address.

One origin is trusted, because a setting names it: it may be anywhere, and it alone is sent the token. Everything else
is fetched by https from public addresses, so that no link can reach into this machine's own network.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from parley.core.errors import OperatorError
from parley.infra.addresses import is_public

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CONNECT_SECONDS = 15.0
_SILENCE_SECONDS = 30.0
# For a whole chain of redirects, up to the head of its last answer, however it trickles in.
_ANSWER_SECONDS = 60.0

# What is said of a host; the first kind that fits counts. The final ones first: no further try would help.
_FINAL: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aiohttp.InvalidURL,), "is no host that can be asked"),
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError), "has no certificate that counts here"),
)
_UNREACHABLE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), "is not known here: is there a network?"),
    ((aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError), "cannot be reached: is there a network?"),
)


class FetchFailed(OperatorError):
    """Nothing can be got from there. The message is one line for the operator."""


class ConnectionLost(FetchFailed):
    """No connection, or it broke, or nothing came any more: trying again may help."""


class Unreachable(ConnectionLost):
    """No connection could be made at all."""


class _AddressRefused(OSError):
    """An address that is not public, of a host that is not the trusted one."""


class Fetcher:
    """GETs, and nothing else, until the context is left. `token` goes to the origin of `trusted` alone.

    Raises FetchFailed when the token would travel in the clear.
    """

    def __init__(self, *, trusted: str, token: str | None = None) -> None:
        self._origin = parsed_url(trusted).origin()
        self._token = token
        if token is not None and self._origin.scheme != "https" and self._origin.host not in _LOOPBACK:
            raise FetchFailed(f"the token is not sent to {self._origin}, because that is not https")
        self._stack = AsyncExitStack()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        for is_trusted in (True, False):
            # The check stands where the socket is made: what was resolved is what is dialled, whatever was written.
            factory = None if is_trusted else _public_socket
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=factory),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS),
                headers={"Accept-Encoding": "identity", "User-Agent": "parley"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
            self._sessions[is_trusted] = await self._stack.enter_async_context(session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def is_trusted(self, url: str) -> bool:
        """Whether this URL is at the trusted origin."""
        return parsed_url(url).origin() == self._origin

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET after at most three redirects, whatever its status; its body has not been read.

        Raises FetchFailed, also while the body is read inside the context.
        """
        target = parsed_url(url)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    response = await self._follow(target, dict(headers or {}), stack)
            except (aiohttp.ClientError, OSError) as error:
                raise _explained(error, target) from None
            try:
                yield response
            except aiohttp.ClientError as error:
                raise _explained(error, response.url) from None

    async def _follow(self, target: URL, headers: dict[str, str], stack: AsyncExitStack) -> aiohttp.ClientResponse:
        # Once a chain has left the trusted origin, nothing that it leads back to is trusted.
        is_trusted = True
        for _ in range(MAX_REDIRECTS + 1):
            is_trusted = is_trusted and target.origin() == self._origin
            if not is_trusted and target.scheme != "https":
                raise FetchFailed(f"{_shown(target)} is not https")
            secret = {"Authorization": f"Bearer {self._token}"} if is_trusted and self._token else {}
            response = await stack.enter_async_context(
                self._sessions[is_trusted].get(target, headers=headers | secret, allow_redirects=False)
            )
            if response.status not in _REDIRECTS:
                return response
            response.close()
            target = _next(target, response.headers.get("Location"))
        raise FetchFailed(f"{_shown(target)} is one redirect too many; {MAX_REDIRECTS} are followed")


def parsed_url(url: str) -> URL:
    """The URL in the one reading that all of this module uses. Raises FetchFailed."""
    try:
        parsed = URL(url)
        is_usable = parsed.scheme in {"http", "https"} and bool(parsed.host) and parsed.port is not None
    except ValueError:
        is_usable = False
    if not is_usable:
        raise FetchFailed(f"{url[:200]!r} is no URL that can be fetched")
    if parsed.user is not None or parsed.password is not None:
        raise FetchFailed(f"a URL with a user or a password in it is not fetched: {_shown(parsed)}")
    return parsed.with_fragment(None)


def _next(current: URL, location: str | None) -> URL:
    if not location:
        raise FetchFailed(f"{_shown(current)} redirects to nowhere")
    try:
        return parsed_url(str(current.join(URL(location))))
    except ValueError:
        raise FetchFailed(f"{_shown(current)} redirects to something that is no URL") from None


def _public_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, place = address
    if not is_public(str(place[0])):
        raise _AddressRefused(f"{place[0]} is not a public address")
    return socket.socket(family=family, type=kind, proto=protocol)


def _explained(error: Exception, target: URL) -> FetchFailed:
    for cause in _causes(error):
        if isinstance(cause, _AddressRefused):
            return FetchFailed(
                f"{_shown(target)} leads inside: {cause}; fetch the file yourself and use `parley models add`"
            )
    for table, failure in ((_FINAL, FetchFailed), (_UNREACHABLE, Unreachable)):
        words = next((words for kinds, words in table if isinstance(error, kinds)), None)
        if words is not None:
            return failure(f"{target.host} {words}")
    if isinstance(error, TimeoutError):
        return ConnectionLost(f"{target.host} does not answer in time")
    return ConnectionLost(f"{target.host} broke the connection")


def _causes(error: BaseException) -> list[BaseException]:
    """An error with what it was made from; where several addresses were tried, all of theirs."""
    found: list[BaseException] = [error]
    for each in found:
        more = [each.__cause__, each.__context__, getattr(each, "os_error", None)]
        more += list(each.exceptions) if isinstance(each, BaseExceptionGroup) else []
        found += [cause for cause in more if cause is not None and cause not in found]
    return found


def _shown(url: URL) -> str:
    """A URL for the terminal: no secret that may stand in its query, no character that a terminal would obey."""
    return str(url.with_query(None).with_user(None).with_fragment(None))[:200]
