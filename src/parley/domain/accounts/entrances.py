"""How people come in: sign-ups that wait for their code, sessions, and links that reset a password."""

import secrets
from dataclasses import dataclass

SIGN_UP_SECONDS = 15 * 60.0
RESET_SECONDS = 60 * 60.0
INVITE_SECONDS = 7 * 86_400.0
SESSION_SECONDS = 14 * 86_400.0
# Six digits and five tries: one guess in 200,000 sign-ups hits.
MAX_CODE_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """A person who has yet to show that the address is theirs; there is no user before that."""

    email: str
    name: str
    organization_name: str
    password_hash: str
    digest: bytes
    num_tries: int
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that a user logged in with, in one organization. Only the digest of its token is kept."""

    id: str
    digest: bytes
    user_id: str
    organization_id: str
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """A link that sets a new password, once."""

    digest: bytes
    user_id: str
    expires_at: float


def new_code() -> str:
    """Six digits to be typed."""
    return f"{secrets.randbelow(1_000_000):06d}"


def new_token() -> str:
    """A token of 256 bits for a link or a cookie."""
    return secrets.token_urlsafe(32)
