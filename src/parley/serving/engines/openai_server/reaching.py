"""Reaching an upstream: what its refusals mean to us and to the client, and when a call may be made again."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from parley.core.errors import ContextLengthExceeded, EngineFailed, InvalidRequest, Overloaded, ParleyError

# Refusals that say "later": nothing was begun, so nothing can be done twice.
_LATER = frozenset({429, 502, 503})
# The codes and types by which servers name a prompt that is too long: OpenAI's, llama.cpp's.
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
# The fields with a client's own wishes, each under the name that a client knows. All others are ours, or may be: a chat
# may go as a `prompt`.
_CLIENTS_FIELDS = frozenset(
    {"messages", "tools", "tool_choice", "parallel_tool_calls", "response_format", "suffix", "n", "stop", "seed"}
    | {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"}
    | {"max_tokens", "max_completion_tokens"}
)
_SAME = "The server behind this model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how long to try before the first byte; seconds."""

    max_attempts: int = 3
    first_pause_seconds: float = 0.25
    # All pauses of one call together; a server that wants to be left alone for longer is left alone.
    max_pause_seconds: float = 5.0

    def pause(self, num_failed: int, asked_seconds: float | None) -> float | None:
        """How long to wait after that many failures, where the server may have asked for a time; None: give up."""
        if num_failed >= self.max_attempts:
            return None
        own = self.first_pause_seconds * 2 ** (num_failed - 1)
        wanted = max(own, asked_seconds or 0.0)
        return wanted if wanted * (self.max_attempts - num_failed) <= self.max_pause_seconds else None


class TryLater(Exception):
    """The call did not begin; `asked_seconds` is the server's own wish, if it had one."""

    def __init__(self, reason: str, *, asked_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.asked_seconds = asked_seconds


@dataclass(slots=True)
class Sending:
    """How far one call came. It is written on while the call is made, perhaps several times."""

    # The server has it, and has not refused it: it may have begun on the prompt.
    is_taken: bool = False


def is_later(status: int) -> bool:
    """Whether a status says that the same call may be made again."""
    return status in _LATER


def asked_pause(retry_after: str | None, *, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for; None without one that can be read."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def gave_up(failure: TryLater) -> Overloaded:
    """What the client hears when all attempts failed: it may try again itself."""
    return Overloaded(f"{_SAME} cannot answer at the moment.", retry_after_seconds=failure.asked_seconds or 1.0)


def refusal(status: int, code: str, param: str) -> ParleyError:
    """The refusal of a call, in our own words: the server's text may hold addresses, or a part of our key.

    `param` is the field that the server names, or empty; the client hears of it where it is one of its own.

    401, 403, 404 and the like are about what the operator set up, and so our failure and not the client's.
    """
    if code in _TOO_LONG:
        return ContextLengthExceeded(
            f"{_SAME} counts more tokens in this request than fit its context. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    if status in (400, 413, 422) and re.split(r"[.\[]", param, maxsplit=1)[0] in _CLIENTS_FIELDS:
        message = f"{_SAME} refused this request because of '{param}', which it does not take as it is."
        return InvalidRequest(message, param=param, code="upstream_refused")
    if status in (400, 413, 422):
        return InvalidRequest(f"{_SAME} refused this request as one that it cannot serve.", code="upstream_refused")
    return EngineFailed(f"the upstream answered {status} (code {code or 'none'})")
