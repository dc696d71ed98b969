"""The guard: refuses what no route wants to see, before anything is looked up. What it cannot see is in docs/security.md."""

import re
from dataclasses import dataclass, field, replace
from itertools import chain

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from parley.api.heads import RequestHeaders, headers_of
from parley.api.reception import reception_of
from parley.api.request_body import UPLOAD_OVERHEAD_BYTES, BodyLimits, LargeBodies, RequestBody
from parley.api.request_reader import BODY_IS_HERE, REFUSAL
from parley.core.errors import InvalidRequest, RequestTooLarge

# A host name, an IPv4 address or an IPv6 address in brackets, with or without a port.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.%]{2,64}\])(?::\d{1,5})?")
# As the route table finds them, with or without a slash at the end.
_CHATS = frozenset({"/v1/chat/completions", "/v1/chat/completions/"})
_CODINGS = frozenset({b"content-encoding", b"transfer-encoding"})
_UPLOADS = frozenset(f"/v1/audio/{name}{end}" for name in ("transcriptions", "translations") for end in ("", "/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """Caps on a request's head, and those on its body."""

    max_url_bytes: int = 8 * 1024
    max_headers: int = 100
    max_header_bytes: int = 64 * 1024
    body: BodyLimits = field(default_factory=BodyLimits)
    # For a chat, which may have images; how much of it may be text, its handler says.
    max_chat_bytes: int = 32 * 1024 * 1024
    # The largest file that a form may hold.
    max_upload_bytes: int = 25 * 1024 * 1024
    # What all bodies that are larger than those of other requests take together.
    large_bytes: int = 256 * 1024 * 1024

    def body_of(self, path: str, *, is_kept: bool = False) -> BodyLimits:
        """The caps on the body of a request to a path. A form goes to the disk, unless it is kept to be compared."""
        if path in _UPLOADS:
            usual = self.body.usual_bytes if is_kept else self.max_upload_bytes + UPLOAD_OVERHEAD_BYTES
            return replace(
                self.body,
                max_bytes=self.max_upload_bytes,
                overhead_bytes=UPLOAD_OVERHEAD_BYTES,
                usual_bytes=usual,
            )
        if path in _CHATS:
            return replace(self.body, max_bytes=max(self.max_chat_bytes, self.body.max_bytes))
        return self.body


class Guard:
    """Pure ASGI. Raises to the error boundary; hands the body on through a RequestBody."""

    def __init__(self, app: ASGIApp, *, limits: GuardLimits) -> None:
        self._app = app
        self._limits = limits
        # What nearly every body is under, made once.
        self._of_chats = {path: limits.body_of(path) for path in _CHATS}
        self._large = LargeBodies(limits.large_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        path = scope["path"]
        limits = self._of_chats.get(path) or self._limits.body_of(path, is_kept="idempotency-key" in headers)
        body = RequestBody(
            receive, headers, limits, self._large, is_here=scope["state"].get(BODY_IS_HERE, _is_not_here)
        )
        reception = reception_of(scope)
        reception.body = body
        # Whoever sends such a head does not get to send another one behind it.
        reception.is_suspect = True
        if (refusal := scope["state"].get(REFUSAL)) is not None:
            raise refusal
        self._check_size(scope)
        _check_host(headers)
        _check_codings(headers)
        reception.is_suspect = False
        _check_query(scope["query_string"])
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.release()

    def _check_size(self, scope: Scope) -> None:
        limits = self._limits
        if len(scope["raw_path"]) + len(scope["query_string"]) >= limits.max_url_bytes:
            raise RequestTooLarge(f"The URL is longer than {limits.max_url_bytes} bytes.", status=414)
        pairs = scope["headers"]
        # Four bytes a line for the colon, the space and the line's end.
        num_bytes = len(b"".join(chain.from_iterable(pairs))) + 4 * len(pairs)
        if len(pairs) > limits.max_headers or num_bytes > limits.max_header_bytes:
            raise RequestTooLarge(
                f"The request has too many headers: {limits.max_headers} of {limits.max_header_bytes} bytes together at most.",
                status=431,
            )


def _is_not_here() -> bool:
    return False


def _check_host(headers: Headers) -> None:
    """Exactly one Host, and a plausible one. Nothing is ever routed or authorised by it; proxies and caches may do so."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise InvalidRequest("The request must have exactly one Host header, with a host name and perhaps a port.")


def _check_query(query: bytes) -> None:
    """Nothing that is looked for has a NUL in it, and PostgreSQL knows no text with one. The parser lets no plain one in."""
    if b"%00" in query:
        raise InvalidRequest("The URL's query must not have a NUL (%00) in it.")


def _check_codings(headers: RequestHeaders) -> None:
    if not headers.has_any(_CODINGS):
        return
    encodings = [value.strip().lower() for value in headers.getlist("content-encoding")]
    if any(value not in {"", "identity"} for value in encodings):
        raise RequestTooLarge(
            f"Unsupported Content-Encoding '{', '.join(encodings)[:40]}': send the body as it is.",
            status=415,
            code="unsupported_content_encoding",
        )
    # The parser decodes chunks and nothing else, yet lets `gzip, chunked` pass with the gzip left in the body.
    transfers = [value.strip().lower() for value in headers.getlist("transfer-encoding")]
    if transfers not in ([], ["chunked"]):
        raise InvalidRequest("The only Transfer-Encoding that a request may have is chunked, once.")
