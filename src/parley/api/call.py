"""One API call as a handler sees it, and the services a handler may use."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct
from starlette.requests import Request
from starlette.types import ASGIApp

from parley.api.form import FormReader
from parley.api.repeats import Repeats
from parley.core.actor import Actor, ActorKind
from parley.core.claim import Claim
from parley.core.clock import Clock
from parley.core.limits import Levels
from parley.core.principal import Principal
from parley.domain.catalog.service import Catalog
from parley.infra.metrics import Metrics
from parley.operations.front_door import FrontDoor
from parley.operations.last_used import LastUsed
from parley.operations.records import Records
from parley.serving.serve import Serving

# A key that was looked at no longer ago counts as it was then: a revoked one ends what it began anyway.
_FRESH_SECONDS = 1.0


class Access(StrEnum):
    """What a route asks of its caller; a route has no default. Those beside PUBLIC and SESSION are scopes by name."""

    PUBLIC = "public"
    # Any session that counts, also of a person whose organization waits for approval.
    SESSION = "session"
    READ = "read"
    MODEL_REQUEST = "model.request"
    KEYS = "keys"
    ADMIN_READ = "admin.read"
    ADMIN = "admin"
    OPERATOR = "operator"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the routes of accounts call."""

    records: Records
    front_door: FrontDoor
    last_used: LastUsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything handlers call, built once in `app.py`."""

    serving: Serving
    catalog: Catalog
    clock: Clock
    platform: Platform
    # Requests that are sent again; None where none are known.
    repeats: Repeats | None = None
    # Reads forms with files; None where no route takes any.
    forms: FormReader | None = None
    metrics: Metrics = field(default_factory=Metrics)
    # Which llama.cpp computes answers: a part of their fingerprint.
    llama_identity: str = ""
    # How a caller's limits stand, for a model's name or in general: what a reply tells that comes before they are met.
    levels_of: Callable[[Principal, str | None], Levels] = lambda _principal, _model: Levels()


class Call(Struct, kw_only=True):
    """`http` is the request whose body has not been read; `principal` is set on every route that is not public.

    `received_at` is monotonic seconds at our edge.
    """

    http: Request
    services: Services
    request_id: str
    received_at: float
    principal: Principal | None = None
    # Asks again who calls, and whether they may; None where nobody is asked.
    renew: Callable[[], Principal] | None = None
    # As the audit log shall know the caller.
    address: str = "unknown"
    path_params: dict[str, str] = {}
    # What the client claims with an Idempotency-Key.
    claim: Claim | None = None
    # Reply headers that a stage wants to add (x-parley-model, Deprecation, Sunset).
    reply_headers: dict[str, str] = {}

    def current_principal(self) -> Principal:
        """The principal for whom a model is to run. Asked again where the body took its time: what a key may use and spend,
        and until when, is as it stands now. Raises as `actor` does."""
        if self.services.clock.monotonic() - self.received_at > _FRESH_SECONDS:
            self._renew()
        return self.require_principal()

    def require_principal(self) -> Principal:
        """The principal of a route that is not public."""
        if self.principal is None:
            raise RuntimeError("a public route asked for its principal")
        return self.principal

    @property
    def platform(self) -> Platform:
        return self.services.platform

    @property
    def records(self) -> Records:
        return self.services.platform.records

    def actor(self) -> Actor:
        """The caller, as operations want to know it; a visitor on a public route. Handlers read the body first.

        A body may take as long as it likes. Whoever no longer may when it is there is refused (AuthenticationFailed,
        MissingScope): a change is made by what counts then.
        """
        self._renew()
        principal = self.principal
        if principal is None:
            kind, principal = ActorKind.VISITOR, _NOBODY
        else:
            kind = ActorKind.SESSION if principal.is_session else ActorKind.API_KEY
        return Actor(
            kind=kind, principal=principal, address=self.address, user_agent=self.http.headers.get("user-agent")
        )

    def _renew(self) -> None:
        if self.renew is not None:
            self.principal = self.renew()


_NOBODY = Principal(organization_id="", project_id="", key_id="", scopes=frozenset())
Handler = Callable[[Call], Awaitable[ASGIApp]]
