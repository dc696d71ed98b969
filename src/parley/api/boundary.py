"""The one boundary where a failure becomes a reply: OpenAI's envelope, or an error frame where a stream has begun."""

import logging

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from parley.api.auth import challenge
from parley.api.errors import error_body, refusal_of
from parley.api.heads import headers_of
from parley.api.open_requests import OpenRequests
from parley.api.reception import reception_of
from parley.api.stream import ClientGone
from parley.core.errors import EngineFailed, InvalidRequest, ParleyError
from parley.infra.metrics import Metrics

logger = logging.getLogger(__name__)


class ErrorBoundary:
    """Pure ASGI. Whatever the inner layers raise ends here; nothing but a cancellation passes."""

    def __init__(self, app: ASGIApp, *, open_requests: OpenRequests, metrics: Metrics) -> None:
        self._app = app
        self._open_requests = open_requests
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reception = reception_of(scope)
        error = await self._answer(scope, receive, send)
        if error is None:
            return
        # Its frames hold the request, with its body, and one of them may hold it: only the collector would find them.
        error.__traceback__ = None
        # Of what asks for a model alone: whoever polls `/ready`, or tries to log in, refuses nobody any work.
        if reception.is_model_request and (reason := refusal_of(error)) is not None:
            self._metrics.refused(reason)
        status, body, headers = error_body(error, reception.request_id)
        if reception.status is None:
            if status == 401:
                headers = {**headers, "www-authenticate": challenge(headers_of(scope))}
            await send({"type": "http.response.start", "status": status, "headers": _head(body, headers)})
            await send({"type": "http.response.body", "body": body})
        elif reception.is_event_stream and not reception.is_complete:
            # Without [DONE]: its absence is how clients tell a broken stream from a finished one.
            frame = b"data: " + msgspec.json.format(body, indent=-1) + b"\n\n"
            await send({"type": "http.response.body", "body": frame})
        # A plain reply that broke off half-way stays broken: the server closes the connection, which the client notices.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> ParleyError | None:
        """Run the inner layers; their failure as an error that a client may see."""
        reception = reception_of(scope)
        try:
            with self._open_requests.holding(reception):
                await self._app(scope, receive, send)
        except ParleyError as error:
            if isinstance(error, EngineFailed):
                logger.exception("engine failed", extra={"request_id": reception.request_id, "detail": error.detail})
            return error
        except ClientDisconnect:
            # The body has no end: its client left, or is there and framed it wrongly. The server tells us the same of
            # both, and closes the connection without a word where we answer nothing.
            reception.is_suspect = True
            return InvalidRequest("The body of the request broke off, or its chunks are not framed as HTTP has them.")
        except ClientGone:
            # Nobody is there to read a reply. The reception logs the request.
            return None
        except Exception:
            logger.exception("request failed", extra={"request_id": reception.request_id})
            return EngineFailed("an exception that nobody expected; its traceback is in the log")
        return None


def _head(body: bytes, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    # A content type among the error's own headers would be a second one.
    more = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return own + [pair for pair in more if pair[0] not in {b"content-type", b"content-length"}]
