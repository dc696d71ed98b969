"""The session cookie: how a browser that logged in is recognised, and why no other site can use it."""

import hmac
from typing import Protocol

from starlette.requests import Request

from parley.api.cross_site import is_change
from parley.api.routing import Route
from parley.core.errors import AuthenticationFailed, PermissionDenied
from parley.core.principal import Principal

COOKIE = "parley_session"
CSRF_HEADER = "x-csrf-token"


class OpenSession(Protocol):
    """A session that counts, in each of its user's projects."""

    def principal(self, project_id: str | None) -> Principal | None: ...


class Sessions(Protocol):
    """Whose browser sends which token. In memory, in constant time; `parley.domain.accounts` has the real one."""

    def recognise(self, token: str) -> OpenSession | None: ...

    def csrf_token(self, session_token: str) -> str: ...


def session_token(http: Request) -> str:
    """The token in the session's cookie; empty: there is none."""
    return http.cookies.get(COOKIE, "")


def principal_of_session(http: Request, sessions: Sessions, route: Route) -> Principal | None:
    """Who is logged in; None without a session that counts. Raises PermissionDenied for a change without the CSRF token.

    What is done in a project that the path names is done with the rights in that one, whatever the header names.
    SameSite=Lax keeps the cookie from another site's posts already; the token holds where a browser does not know that.
    """
    token = session_token(http)
    found = sessions.recognise(token) if token else None
    if found is None:
        return None
    if is_change(http):
        sent = http.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode("utf-8"), sessions.csrf_token(token).encode("utf-8")):
            raise PermissionDenied(
                f"The header {CSRF_HEADER} is missing or wrong. Load the page again.", code="csrf_token_invalid"
            )
    principal = found.principal(http.headers.get("openai-project"))
    if principal is None:
        raise AuthenticationFailed("OpenAI-Project header should match one of your projects", code="mismatched_project")
    project_id = route.project_in(http.scope["path"])
    # One that is not theirs is missing for them, as what is asked of it finds out.
    return (found.principal(project_id) if project_id else None) or principal


def cookie_header(token: str, *, max_age_seconds: int, is_secure: bool) -> str:
    """`Set-Cookie`: unreadable for scripts, never sent on another site's behalf, and over TLS alone where there is TLS."""
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={token}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Lax{secure}"
