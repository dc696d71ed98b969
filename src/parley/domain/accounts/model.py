"""Accounts: organizations, their projects, the projects' keys, and the rules of what a key looks like."""

import zlib
from dataclasses import dataclass

from parley.core.ids import base62, random_base62
from parley.core.principal import Principal, Scope

OWNER_SCOPES = frozenset({Scope.ALL, Scope.ADMIN})
_PREFIX = "sk-"
_NUM_RANDOM = 30
_NUM_CHECKSUM = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    id: str
    organization_id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is kept: its digest and last four characters, never itself. Times in seconds since the epoch."""

    id: str
    organization_id: str
    project_id: str
    name: str
    digest: bytes
    last_four: str
    scopes: frozenset[Scope]
    # None: every model. Otherwise the names that the key may use.
    allowed_models: frozenset[str] | None
    created_at: float
    revoked_at: float | None = None

    @property
    def principal(self) -> Principal:
        """Who calls with this key."""
        return Principal(
            organization_id=self.organization_id,
            project_id=self.project_id,
            key_id=self.id,
            scopes=self.scopes,
            allowed_models=self.allowed_models,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """What the maker of a key says of it."""

    name: str
    scopes: frozenset[Scope] = frozenset({Scope.MODEL_REQUEST, Scope.READ})
    allowed_models: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A new key with its secret, which is shown once and kept nowhere."""

    key: Key
    secret: str


def new_secret() -> str:
    """A fresh key: `sk-`, 30 random base62 digits (178 bits), and the CRC-32 of all that in 6 base62 digits."""
    body = _PREFIX + random_base62(_NUM_RANDOM)
    return body + _checksum(body)


def has_valid_checksum(secret: str) -> bool:
    """Whether a text is a key that `new_secret` could have made: for scanners, which need no look-up to tell."""
    body, checksum = secret[:-_NUM_CHECKSUM], secret[-_NUM_CHECKSUM:]
    random = body.removeprefix(_PREFIX)
    return (
        len(secret) == len(_PREFIX) + _NUM_RANDOM + _NUM_CHECKSUM
        and body.startswith(_PREFIX)
        and random.isascii()
        and random.isalnum()
        and checksum == _checksum(body)
    )


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode("ascii")), width=_NUM_CHECKSUM)
