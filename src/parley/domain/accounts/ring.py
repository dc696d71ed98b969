"""The keys and sessions that count, in memory: nobody is looked up in the database to be recognised."""

import hmac
from collections.abc import Callable, Iterable

from parley.core.clock import Clock
from parley.core.principal import Caller, Principal
from parley.domain.accounts.entrances import Session
from parley.domain.accounts.model import LINGERING_SECONDS, Key
from parley.domain.accounts.standing import (
    SignedIn,
    Standing,
    ended_in_session,
    ends_work,
    principal_of,
    signed_in,
)

# Longer than any key or token; what is longer is none and is not worth a digest.
_MAX_SECRET_CHARACTERS = 256
_NOBODY = bytes(32)
_FIRST_SWEEP = 10_000


class Ring:
    """Who owns which key, and which session. Follows the database at every commit that changes what one may do.

    The loop reads while the writer's thread changes it: each change of an entry is one atomic step, and a secret that
    no longer counts is gone before its caller hears that it was revoked.
    """

    def __init__(self, pepper: bytes, clock: Clock) -> None:
        self._pepper = pepper
        self._clock = clock
        self._keys: dict[bytes, tuple[bytes, Principal]] = {}
        self._sessions: dict[bytes, tuple[bytes, SignedIn]] = {}
        self._used: dict[str, float] = {}
        self._sweep_at = _FIRST_SWEEP
        self._watchers: list[Callable[[frozenset[Caller]], None]] = []

    def authenticate(self, secret: str) -> Principal | None:
        """Who calls with this key, or None when it does not count.

        The look-up is by the whole digest under a secret pepper, so neither its time nor its collisions can be steered.
        """
        if len(secret) > _MAX_SECRET_CHARACTERS:
            return None
        digest = self.digest(secret)
        stored, principal = self._keys.get(digest, (_NOBODY, None))
        if not hmac.compare_digest(stored, digest) or principal is None:
            return None
        now = self._clock.now()
        if principal.expires_at is not None and principal.expires_at <= now:
            return None
        self._used[principal.key_id] = now
        return principal

    def recognise(self, token: str) -> SignedIn | None:
        """Whose browser sends this session's token, or None when it does not count."""
        if len(token) > _MAX_SECRET_CHARACTERS:
            return None
        digest = self.digest(token)
        stored, found = self._sessions.get(digest, (_NOBODY, None))
        if not hmac.compare_digest(stored, digest) or found is None:
            return None
        return found if self._clock.now() < found.session.expires_at else None

    def digest(self, secret: str) -> bytes:
        """What is kept of a secret: HMAC-SHA256 under the pepper."""
        # A lone surrogate cannot come from a key, but must not become an error either.
        return hmac.digest(self._pepper, secret.encode("utf-8", "surrogatepass"), "sha256")

    def csrf_token(self, session_token: str) -> str:
        """What a page of ours proves with that it, and no other site's, sends a session's request."""
        return self.digest(f"csrf:{session_token}").hex()

    def last_used(self, key_id: str) -> float | None:
        """When the key was used since `take_used` was last asked."""
        return self._used.get(key_id)

    def take_used(self) -> dict[str, float]:
        """Key id -> when it was last used, since this was last asked. Seconds since the epoch."""
        used, self._used = self._used, {}
        return used

    def watch(self, watcher: Callable[[frozenset[Caller]], None]) -> None:
        """Have `watcher` called, on the writer's thread, with those in whose name nothing may run any more, or less."""
        self._watchers.append(watcher)

    def replace(
        self, organization_id: str | None, standing: Standing, keys: Iterable[Key], sessions: Iterable[Session]
    ) -> None:
        """Let exactly these keys and sessions of an organization count, as `standing` says; None: of all."""
        new_keys = {key.digest: (key.digest, who) for key in keys if (who := principal_of(standing, key)) is not None}
        new_sessions = {
            session.digest: (session.digest, found)
            for session in sessions
            if (found := signed_in(standing, session)) is not None
        }
        gone, now = set[Caller](), self._clock.now()
        for digest, (_, principal) in tuple(self._keys.items()):
            if organization_id in {None, principal.organization_id}:
                _, new_principal = new_keys.get(digest, (_NOBODY, None))
                if new_principal is None:
                    del self._keys[digest]
                if ends_work(principal, new_principal, now):
                    gone.add(principal.caller)
        for digest, (_, old) in tuple(self._sessions.items()):
            if organization_id in {None, old.session.organization_id}:
                _, new = new_sessions.get(digest, (_NOBODY, None))
                if new is None:
                    del self._sessions[digest]
                gone |= ended_in_session(old, new, now)
        self._keys.update(new_keys)
        self._sessions.update(new_sessions)
        self._tell(gone)

    def follow(self, standing: Standing, keys: Iterable[Key], sessions: Iterable[Session]) -> None:
        """Let each of these count, or not, as `standing` says; all others stay as they are."""
        for key in keys:
            self.admit(standing, key)
        if len(self._keys) >= self._sweep_at:
            self._sweep()
        for session in sessions:
            self.admit_session(standing, session)

    def admit(self, standing: Standing, key: Key) -> None:
        """Let one key count, or not, as `standing` says."""
        principal = principal_of(standing, key)
        if principal is None:
            self.dismiss([key])
        else:
            _, before = self._keys.get(key.digest, (_NOBODY, None))
            self._keys[key.digest] = (key.digest, principal)
            if before is not None and ends_work(before, principal, self._clock.now()):
                self._tell({principal.caller})

    def admit_session(self, standing: Standing, session: Session) -> None:
        """Let one session count, or not, as `standing` says."""
        found = signed_in(standing, session)
        if found is None:
            self.dismiss(sessions=[session])
        else:
            _, before = self._sessions.get(session.digest, (_NOBODY, None))
            self._sessions[session.digest] = (session.digest, found)
            if before is not None:
                self._tell(ended_in_session(before, found, self._clock.now()))

    def dismiss(self, keys: Iterable[Key] = (), sessions: Iterable[Session] = ()) -> None:
        """Let these no longer count, from now on."""
        gone, now = set[Caller](), self._clock.now()
        for key in keys:
            self._keys.pop(key.digest, None)
            gone.add((key.id, key.project_id))
        for session in sessions:
            _, before = self._sessions.pop(session.digest, (_NOBODY, None))
            if before is not None:
                gone |= ended_in_session(before, None, now)
        self._tell(gone)

    def dismiss_rest(self, is_theirs: Callable[[Principal], bool], keys: Iterable[Key]) -> None:
        """Let no key of theirs count but these. What else there is of them is over by a clock that may be ahead: once that is
        set right they would count as things stood before.
        """
        kept, gone = {key.digest for key in keys}, set[Caller]()
        for digest, (_, principal) in tuple(self._keys.items()):
            if digest not in kept and is_theirs(principal):
                del self._keys[digest]
                gone.add(principal.caller)
        self._tell(gone)

    def _sweep(self) -> None:
        """Forget the keys that are over, once there are twice as many keys as there were after the last time."""
        now = self._clock.now()
        for digest, (_, principal) in tuple(self._keys.items()):
            if principal.expires_at is not None and principal.expires_at <= now - LINGERING_SECONDS:
                del self._keys[digest]
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._keys))

    def _tell(self, gone: set[Caller]) -> None:
        if gone:
            for watcher in self._watchers:
                watcher(frozenset(gone))
