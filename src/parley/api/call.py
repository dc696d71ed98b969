"""One API call as a handler sees it, and the services a handler may use."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.requests import Request
from starlette.types import ASGIApp

from parley.api.repeats import Repeats
from parley.core.claim import Claim
from parley.core.clock import Clock
from parley.core.principal import Principal
from parley.domain.catalog.service import Catalog
from parley.serving.serve import Serving


class Access(StrEnum):
    """What a route asks of its caller; a route has no default."""

    PUBLIC = "public"
    READ = "read"
    MODEL_REQUEST = "model.request"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything handlers call, built once in `app.py`."""

    serving: Serving
    catalog: Catalog
    clock: Clock
    # Requests that are sent again; None where none are known.
    repeats: Repeats | None = None


@dataclass(slots=True, kw_only=True)
class Call:
    """`http` is the request whose body has not been read; `principal` is set on every route that is not public.

    `received_at` is monotonic seconds at our edge.
    """

    http: Request
    services: Services
    request_id: str
    received_at: float
    principal: Principal | None = None
    path_params: dict[str, str] = field(default_factory=dict)
    # What the client claims with an Idempotency-Key.
    claim: Claim | None = None
    # Reply headers that a stage wants to add (x-parley-model, Deprecation, Sunset).
    reply_headers: dict[str, str] = field(default_factory=dict)

    def require_principal(self) -> Principal:
        """The principal of a route that is not public."""
        if self.principal is None:
            raise RuntimeError("a public route asked for its principal")
        return self.principal


Handler = Callable[[Call], Awaitable[ASGIApp]]
