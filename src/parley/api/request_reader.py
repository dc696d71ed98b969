"""Finds the requests in a connection's bytes.

httptools reads them (llhttp, the parser of Node.js, at its strictest). What it refuses, and a head that is too large, becomes a
request that has a refusal in its state: so the client gets an error of ours, and the log its line.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httptools
from starlette.types import Scope

from parley.api.exchange import Exchange, Wire
from parley.core.errors import InvalidRequest, ParleyError, RequestTooLarge

# Where the guard finds, in a request's state, why it is none.
REFUSAL = "refusal"
# Where it finds a question: whether the whole body is here.
BODY_IS_HERE = "body_is_here"
# A head that is whole is measured by the guard; one that is not is given up where the guard would refuse it for certain.
_MAX_HEAD_BYTES = 80 * 1024
_MAX_URL_BYTES = 8 * 1024
# More than the guard lets pass.
_MAX_KEPT_HEADERS = 256

Address = tuple[str, int]


class RequestReader:
    """Hands each request to `on_request` once its head is whole, and feeds its body to it."""

    __slots__ = (
        "_client",
        "_has_body_come",
        "_headers",
        "_incoming",
        "_is_in_head",
        "_num_head_bytes",
        "_on_request",
        "_parser",
        "_server",
        "_url",
        "_wire",
        "is_deaf",
    )

    def __init__(self, wire: Wire, client: Address, server: Address, on_request: Callable[[Exchange], None]) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._on_request = on_request
        self._parser = httptools.HttpRequestParser(self)
        # The request that is being read, or was read last.
        self._incoming: Exchange | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_in_head = False
        # Of a head that is not complete; of a body, what came since its last byte, as trailers do.
        self._num_head_bytes = 0
        self._has_body_come = False
        # Whether nothing more is read as a request. The body of the last one still is.
        self.is_deaf = False

    def feed(self, data: bytes, *, is_alone: bool) -> bool:
        """More bytes; `is_alone`: no request is being answered. True: a head has begun with them, alone, and is not whole."""
        if self.is_deaf and not self._is_body_due():
            return False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            # Nobody here speaks another protocol: the request is answered as it is, and what follows is not read.
            self.is_deaf = True
            self._read_body_by_another(data[pause.args[0] :])
        except httptools.HttpParserError as error:
            self._give_up(InvalidRequest(f"The request is not framed as HTTP has it: {error}."))
        else:
            if self._is_in_head:
                return self._check_unfinished_head(len(data), is_alone=is_alone)
            if self._incoming is not None and not self._incoming.is_received:
                self._check_unfinished_body(len(data))
        return False

    def end(self) -> None:
        """Nothing more comes: a request that is not whole never will be."""
        self.is_deaf = True
        if self._incoming is not None and not self._incoming.is_received:
            self._incoming.break_off()
        self._incoming = None

    def turn_away(self) -> None:
        """Read nothing more, whatever comes."""
        self.is_deaf = True
        self._incoming = None

    def release(self) -> None:
        """The connection is gone. The parser and its reader hold each other: only the collector would find them."""
        self.turn_away()
        del self._parser

    # The parser tells of the bytes.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._is_in_head = True
        self._num_head_bytes = 0
        # What comes in one read with a head may be another request's.
        self._has_body_come = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes behind a body in chunks is read by nobody.
        if self._is_in_head and len(self._headers) < _MAX_KEPT_HEADERS:
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self.is_deaf:
            self._incoming = None
            return
        parser = self._parser
        version = parser.get_http_version()
        is_kept = parser.should_keep_alive() and not parser.should_upgrade()
        scope = self._scope(version, parser.get_method())
        exchange = self._incoming = Exchange(self._wire, scope, is_kept=is_kept)
        scope["state"][BODY_IS_HERE] = exchange.has_body
        if version != "1.1" and not _is_plain_old(version, scope["headers"]):
            scope["state"][REFUSAL] = InvalidRequest("The server reads version 1.1 of HTTP, and 1.0 without chunks.")
            exchange.is_kept = False
        self._on_request(exchange)

    def on_body(self, body: bytes) -> None:
        self._has_body_come = True
        if self._incoming is not None:
            self._incoming.feed(body)

    def on_message_complete(self) -> None:
        if self._incoming is not None:
            self._incoming.end_body()

    # What it is not to be.

    def _read_body_by_another(self, rest: bytes) -> None:
        """The parser takes what is behind a head that asks for another protocol for that protocol, though it may have a body:
        the HTTP client of Java asks so with its first request, and `curl --http2` with each. `rest` is what came behind it."""
        if self._incoming is None or self._parser.get_method() == b"CONNECT":
            return
        framing = [pair for pair in self._headers if pair[0] in {b"content-length", b"transfer-encoding"}]
        if not framing:
            return
        self._incoming.is_received = False
        self._parser = httptools.HttpRequestParser(_BodyOnly(self))
        lines = [b"POST / HTTP/1.1", *[b"%b: %b" % pair for pair in framing], b"connection: close", b"", b""]
        # That may be refused only now: of such a request, the parser looked at no transfer coding.
        self.feed(b"\r\n".join(lines) + rest, is_alone=False)

    def _is_body_due(self) -> bool:
        """Whether the last request that is read has more to come."""
        return self._incoming is not None and not self._incoming.is_received

    def _check_unfinished_head(self, num_bytes: int, *, is_alone: bool) -> bool:
        if self.is_deaf:
            return False
        is_new = self._num_head_bytes == 0
        # Behind another request, how much of it belongs to that one nobody says.
        self._num_head_bytes += num_bytes if is_alone or not is_new else 1
        if not self._headers and len(self._url) > _MAX_URL_BYTES:
            self._give_up(RequestTooLarge(f"The URL is longer than {_MAX_URL_BYTES} bytes.", status=414))
        elif self._num_head_bytes > _MAX_HEAD_BYTES:
            self._give_up(RequestTooLarge("The request's headers are too large.", status=431))
        return is_new and is_alone

    def _check_unfinished_body(self, num_bytes: int) -> None:
        """Trailers and extensions of chunks are no part of a body, and the parser keeps a trailer until it is whole."""
        if self._has_body_come:
            self._has_body_come = False
            self._num_head_bytes = 0
            return
        self._num_head_bytes += num_bytes
        if self._num_head_bytes > _MAX_HEAD_BYTES:
            self._give_up(RequestTooLarge("The request's trailers are too large.", status=431))

    def _give_up(self, refusal: ParleyError) -> None:
        """Read nothing more, and say why, behind what is being answered."""
        incoming = self._incoming
        was_in_head, self._is_in_head = self._is_in_head, False
        if was_in_head or incoming is None:
            # The parser knows no version before it has read it, and a method only where it is one.
            scope = self._scope("1.1", b"GET")
            scope["state"][REFUSAL] = refusal
            exchange = Exchange(self._wire, scope, is_kept=False)
            exchange.end_body()
            self._on_request(exchange)
        elif not incoming.is_received:
            incoming.break_off()
            self._incoming = None
        # Else: bytes behind a request that was to be the last.
        self.is_deaf = True

    def _scope(self, version: str, method: bytes) -> Scope:
        url = self._url.partition(b"#")[0] if b"#" in self._url else self._url
        raw_path, _, query = url.partition(b"?")
        if not raw_path.startswith(b"/"):
            raw_path, query = _of_absolute(url)
        path = raw_path.decode("latin-1")
        state: dict[str, Any] = {}
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method.decode("latin-1"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._client,
            "server": self._server,
            "state": state,
        }


class _BodyOnly:
    """Hears of a body whose head was read before."""

    def __init__(self, reader: RequestReader) -> None:
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete


def _is_plain_old(version: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether it is a request of HTTP/1.0, which knew no chunks: a proxy of that time would not have read them."""
    return version == "1.0" and all(name != b"transfer-encoding" for name, _ in headers)


def _of_absolute(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a target that is a whole URL, as proxies get it; of anything else it is the path."""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        return url, b""
    return parsed.path or (b"/" if parsed.schema else url), parsed.query or b""
