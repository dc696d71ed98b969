"""The innermost layer: finds the route, knows the caller, runs the handler, sends its reply."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from parley.api.auth import Gatekeeper
from parley.api.call import Access, Call, Services
from parley.api.heads import HttpRequest
from parley.api.open_requests import OpenRequests
from parley.api.reception import Reception, reception_of
from parley.api.repeats import HEADER
from parley.api.routing import Match, RouteTable
from parley.api.stream import EventStream
from parley.core.errors import ParleyError

_UNAUDITED = frozenset({Access.READ, Access.MODEL_REQUEST})


class Dispatcher:
    """Pure ASGI. Refuses in this order: path, method, key, server stopping, no room; then the handler decides."""

    def __init__(
        self, *, routes: RouteTable, services: Services, gatekeeper: Gatekeeper, open_requests: OpenRequests
    ) -> None:
        self._routes = routes
        self._services = services
        self._gatekeeper = gatekeeper
        self._open_requests = open_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if method == "OPTIONS" and (allowed := self._routes.allowed_methods(path)):
            await Response(status_code=204, headers={"allow": ", ".join(allowed)})(scope, receive, send)
            return
        reception = reception_of(scope)
        match = self._routes.find(method, path)
        reception.route = match.route.path
        reception.is_model_request = match.route.access is Access.MODEL_REQUEST
        call = self._call(match, HttpRequest(scope, receive), reception)
        try:
            if HEADER in call.http.headers and reception.is_model_request:
                await self._answer_once(match, call, receive, send)
            else:
                await _reply(await match.route.handler(call), scope, receive, send)
        except ParleyError:
            if reception.is_model_request and reception.levels is None:
                reception.levels = self._services.levels_of(call.require_principal(), None)
            raise

    async def _answer_once(self, match: Match, call: Call, receive: Receive, send: Send) -> None:
        """Answer a request that claims to be one with what came before under its key."""
        repeats = self._services.repeats
        if repeats is None:
            raise RuntimeError("there is nowhere to look for repeated requests")
        scope = call.http.scope
        async with repeats.claimed(call.http, call.require_principal()) as claimed:
            if claimed.reply is not None:
                reception_of(scope).levels = self._services.levels_of(call.require_principal(), None)
                await claimed.reply(scope, receive, send)
                return
            call.claim = claimed.claim
            response = await match.route.handler(call)
            # What is kept is told as JSON again; subtitles and streams are not kept.
            if isinstance(response, Response) and response.media_type == "application/json":
                await repeats.keep(claimed.claim, call.request_id, response)
            await _reply(response, scope, receive, send)

    def _call(self, match: Match, http: Request, reception: Reception) -> Call:
        """The call, with its principal: a route that is not public is refused here, before its body is read."""
        principal = renew = None
        access = match.route.access
        if access is not Access.PUBLIC:
            renew = partial(self._gatekeeper.admit, http, match.route)
            principal = renew()
            reception.organization_id = principal.organization_id
            if reception.is_model_request:
                # What ends with its key; a change that is half made is not cut.
                reception.caller = principal.caller
            else:
                # It takes nothing, but its client is told how the limits stand all the same.
                reception.levels = self._services.levels_of(principal, None)
            if access is not Access.METRICS:
                # How a server stops is what its operator looks for then.
                self._open_requests.check_accepting()
        if match.route.method != "GET" and access not in _UNAUDITED:
            # Changes would use up what settlements are written from. Admission asks for model requests: a reply that was kept is
            # told without room.
            self._services.platform.records.check_room()
        return Call(
            http=http,
            services=self._services,
            request_id=reception.request_id,
            received_at=reception.received_at,
            principal=principal,
            renew=renew,
            # What runs models is not audited by address, and need not find it out.
            address="" if access in _UNAUDITED else self._gatekeeper.address_of(http),
            path_params=match.path_params,
        )


async def _reply(response: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a handler's reply. No await stands between its return and this, so a Run that it opened always has an owner."""
    try:
        await response(scope, receive, send)
    finally:
        if isinstance(response, EventStream):
            await response.aclose()
