"""The one mapping from our errors to HTTP: status, OpenAI's envelope, and the headers of its retry contract."""

import math
import zlib
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from parley.core.errors import (
    AuthenticationFailed,
    Conflict,
    EngineFailed,
    InvalidRequest,
    MethodNotAllowed,
    MissingScope,
    ModelLoadFailed,
    NotFound,
    Overloaded,
    ParleyError,
    PermissionDenied,
    RateLimited,
    RequestQuarantined,
    RequestTooLarge,
)

# The official clients give up on a reply that asks them to wait for longer.
_LONGEST_WAIT_SECONDS = 120.0
# How far, as a part of it, a wait is moved, so that clients that were refused together do not come back together.
_JITTER = 0.2

# Status and `type` by class; a class that is missing here is answered as its parent is.
_KINDS: Mapping[type[ParleyError], tuple[int, str]] = MappingProxyType(
    {
        InvalidRequest: (400, "invalid_request_error"),
        AuthenticationFailed: (401, "invalid_request_error"),
        MissingScope: (401, "invalid_request_error"),
        PermissionDenied: (403, "invalid_request_error"),
        NotFound: (404, "invalid_request_error"),
        MethodNotAllowed: (405, "invalid_request_error"),
        Conflict: (409, "invalid_request_error"),
        RequestTooLarge: (413, "invalid_request_error"),
        RateLimited: (429, "requests"),
        Overloaded: (503, "service_unavailable_error"),
        ModelLoadFailed: (503, "service_unavailable_error"),
        EngineFailed: (500, "server_error"),
        ParleyError: (500, "server_error"),
    }
)


class ErrorObject(msgspec.Struct, kw_only=True):
    """What went wrong. All four keys are always there: clients read them without asking."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(msgspec.Struct, kw_only=True):
    """The body of every reply that is not a success."""

    error: ErrorObject


def error_body(error: ParleyError, request_id: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, JSON body and extra headers of the reply to a request that ended in `error`."""
    status, kind = _status_and_type(error)
    message = _server_failure(request_id) if status == 500 else error.message
    body = ErrorResponse(error=ErrorObject(message=message, type=kind, param=error.param, code=error.code))
    return status, msgspec.json.encode(body), _headers(error, request_id)


def refusal_of(error: ParleyError) -> str | None:
    """Which of a few reasons a request was turned away for that was in order in itself; None: for none of them."""
    match error:
        case RateLimited():
            return error.kind
        case RequestQuarantined():
            return "quarantined"
        case Overloaded() | ModelLoadFailed():
            return error.code
        case _:
            return None


def _status_and_type(error: ParleyError) -> tuple[int, str]:
    if isinstance(error, RequestTooLarge):
        # OpenAI says `server_error` for a body over the cap, and clients know it so.
        return error.status, "server_error" if error.status == 413 else "invalid_request_error"
    if isinstance(error, RateLimited):
        return 429, error.kind
    return next(_KINDS[parent] for parent in type(error).__mro__ if parent in _KINDS)


def _server_failure(request_id: str) -> str:
    """The one sentence for every failure of ours; what really happened is in the log, under the same id."""
    return (
        "The server had an error while processing your request. Sorry about that! You can retry your request, or "
        f"contact the operator of this server if the error persists. (Please include the request ID {request_id} in "
        "your message.)"
    )


def _headers(error: ParleyError, request_id: str) -> dict[str, str]:
    match error:
        case RateLimited(retry_after_seconds=None) | RequestQuarantined():
            # Waiting cannot help, and the official clients would send the request three times; of the quarantined one
            # an engine would die each time.
            return {"x-should-retry": "false"}
        case RateLimited(retry_after_seconds=float() | int() as seconds):
            wait = _wait(seconds, request_id)
            # Who waits as long as clients accept comes back for nothing.
            return wait if seconds <= _LONGEST_WAIT_SECONDS else {**wait, "x-should-retry": "false"}
        case Overloaded():
            # Nothing was started, so that repeating is safe.
            return {**_wait(error.retry_after_seconds, request_id), "x-should-retry": "true"}
        case Conflict() | ModelLoadFailed():
            return _wait(1.0, request_id)
        case MethodNotAllowed():
            return {"allow": ", ".join(error.allowed)}
        case _:
            return {}


def _wait(seconds: float, request_id: str) -> dict[str, str]:
    """The two headers that ask for a wait: exact for the official clients, whole seconds for those that know no others."""
    # Spread by the request's id rather than by chance: the same request gets the same answer.
    spread = 1 - _JITTER + 2 * _JITTER * (zlib.crc32(request_id.encode()) / 0xFFFFFFFF)
    wait = min(max(seconds, 0.0) * spread, _LONGEST_WAIT_SECONDS)
    return {"retry-after-ms": str(math.ceil(wait * 1000)), "retry-after": str(math.ceil(wait))}
