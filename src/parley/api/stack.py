"""The whole HTTP stack, outermost layer first, as one list."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, reduce
from ipaddress import IPv4Network, IPv6Network

from starlette.types import ASGIApp

from parley.api.auth import Gatekeeper, KeyRing
from parley.api.bad_keys import BadKeys
from parley.api.boundary import ErrorBoundary
from parley.api.call import Services
from parley.api.cors import Cors
from parley.api.dispatch import Dispatcher
from parley.api.guard import Guard, GuardLimits
from parley.api.open_requests import OpenRequests
from parley.api.reception import ReceptionLayer
from parley.api.routing import RouteTable


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRules:
    """What an operator decides about the edge."""

    cors_origins: tuple[str, ...] = ("*",)
    # Whose X-Forwarded-For is believed.
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    limits: GuardLimits = field(default_factory=GuardLimits)


def build_stack(
    *, routes: RouteTable, services: Services, keys: KeyRing, open_requests: OpenRequests, rules: EdgeRules
) -> ASGIApp:
    """The ASGI application of the server. Every layer is pure ASGI: BaseHTTPMiddleware swallows `http.disconnect`."""
    gatekeeper = Gatekeeper(keys=keys, bad_keys=BadKeys(services.clock), trusted_proxies=rules.trusted_proxies)
    layers: list[Callable[[ASGIApp], ASGIApp]] = [
        partial(ReceptionLayer, clock=services.clock, metrics=services.metrics),
        partial(Cors, origins=rules.cors_origins),
        partial(ErrorBoundary, open_requests=open_requests, metrics=services.metrics),
        partial(Guard, limits=rules.limits),
    ]
    innermost: ASGIApp = Dispatcher(
        routes=routes, services=services, gatekeeper=gatekeeper, open_requests=open_requests
    )
    return reduce(lambda app, layer: layer(app), reversed(layers), innermost)
