"""The outermost layer: receives each request, gives it its id, adds the headers every reply has, logs its one line, counts it."""

import logging
from collections.abc import Awaitable, Iterable

from msgspec import Struct, field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley.api.interrupt import Interruptible
from parley.api.limit_headers import limit_headers
from parley.api.request_body import RequestBody
from parley.core.clock import Clock
from parley.core.ids import new_ordered_id
from parley.core.limits import Levels
from parley.core.principal import Caller
from parley.infra.logs import log_fields
from parley.infra.metrics import Metrics

logger = logging.getLogger(__name__)

_API_VERSION = b"2020-10-01"
_PROBED_PATHS = frozenset({"/health", "/ready", "/metrics"})
# Of a path; the longer ones are refused.
_MAX_LOGGED_CHARACTERS = 2048
# What a reply is logged as when the client left before it got a status, as nginx does.
CLIENT_CLOSED_REQUEST = 499


class Reception(Struct, kw_only=True, eq=False):
    """What our edge knows of one HTTP request, from its arrival to the last byte of its reply.

    `received_at` is monotonic seconds. `interruption` ends the request from outside. `status` is None until the
    reply's head was sent. `is_suspect` ends the connection with the reply: its bytes are not what they should be.
    """

    request_id: str
    received_at: float
    interruption: Interruptible = field(default_factory=Interruptible)
    organization_id: str | None = None
    # The path of the route as the table has it; None where none was found.
    route: str | None = None
    # Whether that route runs models: its refusals alone are counted.
    is_model_request: bool = False
    # Set where the request is to end when this key, or session, may no longer run it.
    caller: Caller | None = None
    # How the caller's limits stand, for the headers; None where nothing was asked of them.
    levels: Levels | None = None
    body: RequestBody | None = None
    status: int | None = None
    is_event_stream: bool = False
    is_complete: bool = False
    is_suspect: bool = False


def reception_of(scope: Scope) -> Reception:
    """The reception of the request that `scope` describes."""
    reception = scope["state"]["reception"]
    if not isinstance(reception, Reception):
        raise TypeError("the request did not come through the reception")
    return reception


class ReceptionLayer:
    """Pure ASGI: wraps `send` once, and passes every message on as it is but for the reply's head."""

    def __init__(self, app: ASGIApp, *, clock: Clock, metrics: Metrics) -> None:
        self._app = app
        self._clock = clock
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Our server knows nothing else; what runs this application in its place may.
            return
        clock = self._clock
        reception = Reception(request_id=new_ordered_id("req_", clock.now()), received_at=clock.monotonic())
        scope.setdefault("state", {})["reception"] = reception

        # Not a coroutine function: one frame less for each event of a stream.
        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                _note_head(reception, message["status"], headers)
                message["headers"] = [*self._own_headers(reception), *headers]
            elif not message.get("more_body", False):
                reception.is_complete = True
            return send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._note_end(scope, reception)
        if reception.body is not None:
            await reception.body.discard_rest()

    def _own_headers(self, reception: Reception) -> list[tuple[bytes, bytes]]:
        milliseconds = int((self._clock.monotonic() - reception.received_at) * 1000)
        headers = [
            (b"x-request-id", reception.request_id.encode()),
            (b"openai-processing-ms", b"%d" % milliseconds),
            (b"openai-version", _API_VERSION),
            (b"x-content-type-options", b"nosniff"),
        ]
        if reception.is_suspect:
            headers.append((b"connection", b"close"))
        if reception.levels is not None:
            headers += limit_headers(reception.levels)
        if reception.organization_id is not None:
            headers.append((b"openai-organization", reception.organization_id.encode()))
        return headers

    def _note_end(self, scope: Scope, reception: Reception) -> None:
        status = reception.status or CLIENT_CLOSED_REQUEST
        seconds = self._clock.monotonic() - reception.received_at
        self._metrics.http_ended(reception.route, scope["method"], status, seconds)
        # What asks every few seconds how we are would bury everything else.
        level = logging.DEBUG if scope["path"] in _PROBED_PATHS else logging.INFO
        # Neither the query string nor any header: keys have been seen in both.
        fields = {
            "method": scope["method"],
            "path": scope["path"][:_MAX_LOGGED_CHARACTERS],
            "status": status,
            "request_id": reception.request_id,
            "organization_id": reception.organization_id,
            "is_complete": reception.is_complete,
            "duration_seconds": round(seconds, 4),
        }
        log_fields(logger, level, "request finished", fields, now=self._clock.now())


def _note_head(reception: Reception, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    reception.status = status
    for name, value in headers:
        if name == b"content-type":
            reception.is_event_stream = value.startswith(b"text/event-stream")
            return
