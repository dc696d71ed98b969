"""Idempotency-Key: a request that is sent again under its key gets the reply of the first, and is charged once."""

import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from parley.api.form import between_boundaries
from parley.core.claim import Claim
from parley.core.errors import Conflict, InvalidRequest
from parley.core.principal import Principal
from parley.domain.idempotency.service import Replies
from parley.infra.db import DatabaseFailed

_log = logging.getLogger(__name__)

HEADER = "idempotency-key"
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What a client claimed, and the reply that it already has; None when the request is to be run."""

    claim: Claim
    reply: Response | None


class Repeats:
    """The claims of running requests, in memory, and the replies of finished ones, in the database.

    Only this process runs requests on the database, so what it does not know to be running is not. Fails closed: a
    database that cannot be read refuses the request, which could otherwise be charged twice.
    """

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._running: dict[tuple[str, str], bytes] = {}

    @asynccontextmanager
    async def claimed(self, http: Request, principal: Principal) -> AsyncIterator[Claimed]:
        """The claim that the request makes by its header, for as long as it runs.

        Raises Conflict while its twin runs, and InvalidRequest for a key that was used for another request, or whose
        reply is not kept.
        """
        key = http.headers.get(HEADER, "")
        if not _KEY.fullmatch(key):
            raise InvalidRequest(
                "The Idempotency-Key header may have up to 255 printable ASCII characters without spaces.",
                code="invalid_idempotency_key",
            )
        fingerprint = _fingerprint(http, await http.body(), principal.allowed_models)
        place = (principal.project_id, key)
        running = self._running.get(place)
        if running is not None:
            if running != fingerprint:
                raise _reused("for a different request, which is still running")
            raise Conflict(
                "A request with this Idempotency-Key is still running. Please wait for it.",
                code="idempotency_key_in_use",
            )
        self._running[place] = fingerprint
        try:
            claim = Claim(project_id=principal.project_id, key=key, fingerprint=fingerprint)
            yield Claimed(claim=claim, reply=await self._kept(claim))
        finally:
            del self._running[place]

    async def keep(self, claim: Claim, request_id: str, response: Response) -> None:
        """Keep the reply of a claim's request, before it is sent.

        Where the database has failed meanwhile it is sent all the same: its request is charged already.
        """
        try:
            await self._replies.keep_body(claim, request_id, bytes(response.body))
        except DatabaseFailed:
            _log.exception("a reply could not be kept", extra={"request_id": request_id})

    async def _kept(self, claim: Claim) -> Response | None:
        found = await self._replies.find(claim.project_id, claim.key)
        if found is None:
            return None
        if found.fingerprint != claim.fingerprint:
            raise _reused("for a different request")
        if found.body is None:
            raise _reused(
                f"for this same request ({found.request_id}), which is finished and charged; its reply is not kept: it "
                "was streamed, is too large, or the server ended before it could be kept"
            )
        headers = {"idempotent-replayed": "true", "x-parley-original-request": found.request_id}
        return Response(found.body, found.status, media_type="application/json", headers=headers)


def _fingerprint(http: Request, body: bytes, allowed_models: frozenset[str] | None) -> bytes:
    """The same for what is sent again, by any key that may use the same models."""
    rights = b"" if allowed_models is None else msgspec.json.encode(sorted(allowed_models))
    digest = hashlib.sha256(rights + http.url.path.encode() + b"\n")
    first, *others = between_boundaries(http.headers.get("content-type"), body)
    digest.update(first)
    for part in others:
        # Where each begins is said, as its boundary would.
        digest.update(b"\n%d\n" % len(part))
        digest.update(part)
    return digest.digest()


def _reused(how: str) -> InvalidRequest:
    return InvalidRequest(f"This Idempotency-Key was used before, {how}.", code="idempotency_key_reused")
