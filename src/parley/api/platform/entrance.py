"""`/v1/account/...`, ours: sign up, log in and out, set a new password, accept an invite."""

from starlette.responses import Response
from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.explain.decode import JsonBody
from parley.api.openai.opening import json_reply
from parley.api.platform import shapes
from parley.api.platform.schemas import replies, requests
from parley.api.session import cookie_header, session_token
from parley.core.errors import AuthenticationFailed
from parley.domain.accounts.entrances import SESSION_SECONDS
from parley.operations.front_door import Applicant, Entered

# A session's cookie is set by these: no page of another site may send them unasked.
_SIGN_UP = JsonBody(requests.SignUpRequest, must_say_type=True)
_VERIFY = JsonBody(requests.VerifyRequest, must_say_type=True)
_LOG_IN = JsonBody(requests.LogInRequest, must_say_type=True)
_ASK_RESET = JsonBody(requests.AskResetRequest, must_say_type=True)
_RESET = JsonBody(requests.ResetRequest, must_say_type=True)
_ACCEPT = JsonBody(requests.AcceptInviteRequest, must_say_type=True)


async def sign_up(call: Call) -> ASGIApp:
    """Mail a code to an address that wants an account."""
    body = await _SIGN_UP.read(call.http)
    applicant = Applicant(
        email=body.email,
        password=body.password,
        name=body.name or "",
        organization_name=body.organization_name or "",
    )
    await call.platform.front_door.sign_up(call.actor(), applicant)
    return json_reply(replies.Accepted(status="verification_required"))


async def verify(call: Call) -> ASGIApp:
    """Complete a sign-up with its code; the reply logs in."""
    body = await _VERIFY.read(call.http)
    entered = await call.platform.front_door.verify(
        call.actor(), email=body.email, code=body.code, password=body.password
    )
    return await _let_in(call, entered)


async def log_in(call: Call) -> ASGIApp:
    """Log in with e-mail address and password."""
    body = await _LOG_IN.read(call.http)
    entered = await call.platform.front_door.log_in(
        call.actor(), email=body.email, password=body.password, organization_id=body.organization_id
    )
    return await _let_in(call, entered)


async def log_out(call: Call) -> ASGIApp:
    """End the session."""
    await call.platform.front_door.log_out(call.actor())
    return json_reply(replies.Accepted(status="logged_out"), {"set-cookie": _cookie(call, "", max_age_seconds=0)})


async def show_session(call: Call) -> ASGIApp:
    """Who is logged in, and the token that changes need."""
    return json_reply(await _session(call, session_token(call.http)))


async def ask_reset(call: Call) -> ASGIApp:
    """Mail a link that sets a new password, if the address has an account."""
    body = await _ASK_RESET.read(call.http)
    await call.platform.front_door.ask_reset(call.actor(), email=body.email)
    return json_reply(replies.Accepted(status="sent_if_known"))


async def reset(call: Call) -> ASGIApp:
    """Set a new password with the link's token."""
    body = await _RESET.read(call.http)
    await call.platform.front_door.reset(call.actor(), token=body.token, password=body.password)
    return json_reply(replies.Accepted(status="password_changed"))


async def accept_invite(call: Call) -> ASGIApp:
    """Join an organization with an invite's token; the reply logs in."""
    body = await _ACCEPT.read(call.http)
    entered = await call.platform.front_door.accept_invite(
        call.actor(), token=body.token, name=body.name or "", password=body.password
    )
    return await _let_in(call, entered)


async def _let_in(call: Call, entered: Entered) -> Response:
    cookie = _cookie(call, entered.token, max_age_seconds=int(SESSION_SECONDS))
    return json_reply(await _session(call, entered.token), {"set-cookie": cookie, "cache-control": "no-store"})


async def _session(call: Call, token: str) -> replies.SessionUser:
    records = call.records
    found = records.keys.recognise(token)
    if found is None:
        # It ended while it was being opened or shown: its user was removed, or has a new password.
        raise AuthenticationFailed("The e-mail address or the password is wrong.", code="invalid_login")
    session = found.session
    users, organization = await records.database.read(
        lambda connection: (
            records.membership.users(connection, [session.user_id]),
            records.accounts.organization(connection, session.organization_id),
        )
    )
    user = users[session.user_id]
    return replies.SessionUser(
        id=session.id,
        user_id=user.id,
        email=user.email,
        name=user.name,
        organization=shapes.organization(organization),
        scopes=sorted(found.usual.scopes),
        expires_at=int(session.expires_at),
        csrf_token=records.keys.csrf_token(token),
    )


def _cookie(call: Call, token: str, *, max_age_seconds: int) -> str:
    is_secure = call.platform.front_door.rules.public_url.startswith("https://")
    return cookie_header(token, max_age_seconds=max_age_seconds, is_secure=is_secure)
