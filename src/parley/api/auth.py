"""From an HTTP request to the principal who makes it, or a 401, before any of the body is read."""

import base64
import binascii
import re
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from starlette.datastructures import Headers
from starlette.requests import Request

from parley.api.bad_keys import BadKeys
from parley.api.call import Access
from parley.api.client_address import client_address
from parley.api.cross_site import is_change, is_from_another_site
from parley.api.routing import Route
from parley.api.session import Sessions, principal_of_session
from parley.core.errors import AuthenticationFailed, PermissionDenied
from parley.core.principal import Principal, Scope
from parley.operations.authority import missing_scope

# What a key can look like at all; whatever else comes costs no look-up.
_PLAUSIBLE_KEY = re.compile(r"[!-~]{8,256}")

# The scope that each level needs; a level that is missing here is open to nobody.
_SCOPES = {
    Access.READ: Scope.READ,
    Access.MODEL_REQUEST: Scope.MODEL_REQUEST,
    Access.KEYS: Scope.KEYS,
    Access.ADMIN_READ: Scope.ADMIN_READ,
    Access.ADMIN: Scope.ADMIN,
    Access.OPERATOR: Scope.OPERATOR,
    Access.METRICS: Scope.METRICS,
}

NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API "
    "from your browser and are prompted for a username and password. You can obtain an API key from the operator of "
    "this server, or with `parley keys create`."
)


class KeyRing(Sessions, Protocol):
    """Who owns which key, and which session. In memory, in constant time; `parley.domain.accounts` has the real one."""

    def authenticate(self, secret: str) -> Principal | None: ...


class Gatekeeper:
    """Turns a request's key into a principal and checks that the principal may use the route."""

    def __init__(
        self, *, keys: KeyRing, bad_keys: BadKeys, trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    ) -> None:
        self._keys = keys
        self._bad_keys = bad_keys
        self._trusted_proxies = trusted_proxies

    def admit(self, http: Request, route: Route) -> Principal:
        """The principal. Raises AuthenticationFailed, MissingScope, PermissionDenied where another site's page asks with what
        a browser remembers, or RateLimited after many wrong keys."""
        principal = None
        if "authorization" not in http.headers:
            principal = principal_of_session(http, self._keys, route)
        if principal is None:
            principal = self._authenticate(http)
            _check_named_project(http, principal)
        _check_named_organization(http, principal)
        self._check_may(principal, route)
        return principal

    def address_of(self, http: Request) -> str:
        """The address of the client, behind trusted proxies too."""
        return client_address(http, self._trusted_proxies)

    def _check_may(self, principal: Principal, route: Route) -> None:
        if route.access is Access.SESSION:
            if not principal.is_session:
                raise AuthenticationFailed("Log in first: this is for people, not for keys.", code="no_session")
            return
        scope = _SCOPES[route.access]
        # A family stands in for `model.request`, and for nothing else.
        family = route.family if route.access is Access.MODEL_REQUEST else None
        if not principal.may(scope) and not (family is not None and principal.may(family)):
            raise missing_scope(scope)

    def _authenticate(self, http: Request) -> Principal:
        secret = _secret_of(http)
        principal = self._keys.authenticate(secret) if _PLAUSIBLE_KEY.fullmatch(secret) else None
        if principal is None:
            # A right key is never refused for its neighbours' wrong ones: many offices share one address, and it is
            # the 178 bits of a key that keep it from being guessed, not this limit.
            self._bad_keys.count(self.address_of(http))
            raise AuthenticationFailed(
                f"Incorrect API key provided: {masked(secret)}. You can find your API key in owner.key in "
                "the server's data folder, make one with `parley keys create`, or ask the operator of this server for one.",
                code="invalid_api_key",
            )
        return principal


def masked(secret: str) -> str:
    """A key as its owner recognises it and nobody else can use it: `sk-v3s3w****bfcr`."""
    if len(secret) < 20 or not _PLAUSIBLE_KEY.fullmatch(secret):
        return "*" * min(len(secret), 20)
    return f"{secret[:8]}{'*' * min(len(secret) - 12, 40)}{secret[-4:]}"


def challenge(headers: Headers) -> str:
    """What `WWW-Authenticate` says on a 401: a browser that opens the address itself is made to ask for the key, a
    page's script is not, which would put that dialogue in front of a playground's own."""
    if headers.get("sec-fetch-mode") == "navigate":
        return 'Basic realm="Parley: blank user name, key as password"'
    return 'Bearer realm="Parley"'


def _secret_of(http: Request) -> str:
    """The key in the Authorization header: `Bearer KEY`, or Basic with a blank user name and the key as password.

    Raises AuthenticationFailed without one, PermissionDenied for a change by Basic that another site's page asks for.
    """
    values = http.headers.getlist("authorization")
    scheme, _, rest = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    secret = ""
    if scheme.lower() == "bearer":
        secret = rest.strip()
    elif scheme.lower() == "basic":
        # A browser that was asked for the key sends it with whatever any page has it send; Bearer is sent by who has the key.
        if is_change(http) and is_from_another_site(http):
            raise PermissionDenied(
                "A page of another site asks for this with the key that your browser remembers. Programs and pages send a "
                "key in an Authorization header using Bearer auth.",
                code="cross_site_request",
            )
        secret = _password(rest.strip())
    if not secret:
        raise AuthenticationFailed(NO_KEY)
    return secret


def _password(credentials: str) -> str:
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return ""
    return "" if name else password


def _check_named_organization(http: Request, principal: Principal) -> None:
    """A client may name the organization that it means; naming another than its own is refused."""
    organization = http.headers.get("openai-organization")
    if organization and organization != principal.organization_id:
        raise AuthenticationFailed(
            "OpenAI-Organization header should match organization for API key", code="mismatched_organization"
        )


def _check_named_project(http: Request, principal: Principal) -> None:
    """The same of the project, for a key; a session's user may name any of theirs."""
    project = http.headers.get("openai-project")
    if project and project != principal.project_id:
        raise AuthenticationFailed("OpenAI-Project header should match project for API key", code="mismatched_project")
