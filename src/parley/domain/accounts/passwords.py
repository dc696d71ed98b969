"""Passwords: argon2id, off the event loop, a few at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from parley.core.errors import InvalidRequest, Overloaded

MIN_CHARACTERS = 10
# Longer ones would make hashing itself an attack.
MAX_CHARACTERS = 256
# Each takes 64 MiB while it runs.
_MOST_AT_ONCE = 2
# Some seconds' work; whoever came behind them would have left before their turn.
_MOST_WAITING = 64


class Passwords:
    """Hashes and checks. The library's default cost is that of RFC 9106's second choice: 64 MiB, three passes."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._num_here = 0
        # What a log-in with an unknown address is checked against, so that it takes as long as another.
        self._nobodys_hash: str | None = None

    async def hash(self, password: str) -> str:
        """The text to keep. Raises InvalidRequest for a password that is too short or too long, Overloaded."""
        if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
            raise InvalidRequest(
                f"Invalid 'password': it must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.",
                param="password",
                code="invalid_value",
            )
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, _as_bytes(password))

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; never for None, which takes as long. Raises Overloaded."""
        if self._nobodys_hash is None:
            self._nobodys_hash = await self.hash("nobody-has-this-password")
        async with self._turn():
            is_match = await asyncio.to_thread(self._matches, password, password_hash or self._nobodys_hash)
        return is_match and password_hash is not None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the few that run at once. Raises Overloaded where too many wait for it."""
        if self._num_here >= _MOST_AT_ONCE + _MOST_WAITING:
            raise Overloaded("Too many passwords are being checked at the moment.", retry_after_seconds=10.0)
        self._num_here += 1
        try:
            async with self._turns:
                yield
        finally:
            self._num_here -= 1

    def _matches(self, password: str, password_hash: str) -> bool:
        if len(password) > MAX_CHARACTERS:
            return False
        try:
            return self._hasher.verify(password_hash, _as_bytes(password))
        except (VerificationError, InvalidHashError):
            return False


def _as_bytes(password: str) -> bytes:
    # JSON may hold a lone surrogate, which UTF-8 does not.
    return password.encode("utf-8", "surrogatepass")
