"""The accounts' verbs on the ways in: sign-ups, sessions, resets of a password."""

from parley.core.clock import Clock
from parley.core.errors import InvalidRequest, Overloaded
from parley.core.ids import new_id
from parley.core.principal import SESSION_PREFIX
from parley.domain.accounts.entrances import (
    MAX_CODE_TRIES,
    RESET_SECONDS,
    SESSION_SECONDS,
    SIGN_UP_SECONDS,
    Reset,
    Session,
    SignUp,
    new_code,
    new_token,
)
from parley.domain.accounts.people import User
from parley.domain.accounts.ring import Ring
from parley.domain.accounts.service import Accounts
from parley.domain.accounts.store import entrances, people
from parley.infra.db import Connection, Transaction

# Sign-ups that wait for their code; far more than come true in a quarter of an hour.
_MAX_SIGN_UPS = 10_000
# Of one user: more browsers than anybody has. A change of an organization's projects reads the sessions of its people.
MAX_SESSIONS = 50


class Doors:
    """Who comes in. Every verb works inside the transaction that it is handed."""

    def __init__(self, accounts: Accounts, ring: Ring, clock: Clock) -> None:
        self._accounts = accounts
        self._ring = ring
        self._clock = clock

    def check_room(self, transaction: Transaction) -> None:
        """Raises Overloaded when too many sign-ups wait for their code; whose they are makes no difference."""
        entrances.delete_expired(transaction.connection, self._clock.now())
        if entrances.count_sign_ups(transaction.connection) >= _MAX_SIGN_UPS:
            raise Overloaded("Too many people are signing up at the moment.", retry_after_seconds=60.0)

    def begin_sign_up(
        self, transaction: Transaction, *, email: str, name: str, organization_name: str, password_hash: str
    ) -> str:
        """Keep a sign-up until its code comes; returns the code. Another one of the address waits beside it."""
        code, now = new_code(), self._clock.now()
        sign_up = SignUp(
            email=email,
            name=name,
            organization_name=organization_name,
            password_hash=password_hash,
            digest=self._code_digest(email, code),
            num_tries=0,
            created_at=now,
            expires_at=now + SIGN_UP_SECONDS,
        )
        entrances.keep_sign_up(transaction.connection, sign_up)
        return code

    def find_sign_up(self, connection: Connection, email: str, code: str) -> SignUp | None:
        """The sign-up that waits for this code; None: the code is wrong, or does not count any more."""
        sign_up = entrances.find_sign_up(connection, email, self._code_digest(email, code))
        if sign_up is None or sign_up.expires_at <= self._clock.now() or sign_up.num_tries >= MAX_CODE_TRIES:
            return None
        return sign_up

    def try_code(self, transaction: Transaction, email: str, code: str) -> SignUp | None:
        """The sign-up that the code completes, which uses up all of the address; None: the code is wrong, which is counted."""
        sign_up = self.find_sign_up(transaction.connection, email, code)
        if sign_up is None:
            entrances.count_try(transaction.connection, email)
        else:
            entrances.delete_sign_ups(transaction.connection, email)
        return sign_up

    def open_session(self, transaction: Transaction, user: User, organization_id: str) -> tuple[Session, str]:
        """Log a user in to an organization of theirs: a new session, and the token for its cookie. Beyond so many the oldest end."""
        connection = transaction.connection
        token, now = new_token(), self._clock.now()
        self._end(transaction, entrances.expired_sessions(connection, now))
        self._end(transaction, entrances.sessions_of(connection, user.id)[: -MAX_SESSIONS + 1])
        session = Session(
            id=new_id(SESSION_PREFIX),
            digest=self._ring.digest(token),
            user_id=user.id,
            organization_id=organization_id,
            created_at=now,
            expires_at=now + SESSION_SECONDS,
        )
        entrances.insert_session(connection, session)
        self._accounts.follow_session(transaction, session)
        return session, token

    def close_session(self, transaction: Transaction, session_id: str) -> None:
        """Log a session out."""
        session = entrances.find_session(transaction.connection, session_id)
        if session is not None:
            self._end(transaction, [session])

    def begin_reset(self, transaction: Transaction, user: User) -> str:
        """The token of a link that sets a new password; an earlier link no longer counts."""
        token = new_token()
        entrances.delete_resets(transaction.connection, user.id)
        entrances.insert_reset(
            transaction.connection,
            Reset(digest=self._ring.digest(token), user_id=user.id, expires_at=self._clock.now() + RESET_SECONDS),
        )
        return token

    def user_of_reset(self, connection: Connection, token: str) -> User:
        """Whose password the link sets. Raises InvalidRequest: unknown, used and expired are told alike."""
        reset = entrances.find_reset(connection, self._ring.digest(token))
        user = None if reset is None else people.find_user(connection, reset.user_id)
        if reset is None or user is None or reset.expires_at <= self._clock.now():
            raise InvalidRequest("This link does not count any more. Ask for a new one.", code="invalid_token")
        return user

    def set_password(self, transaction: Transaction, user: User, password_hash: str) -> None:
        """Set a new password. Every session of the user ends, and no link counts that sets another."""
        connection = transaction.connection
        entrances.delete_resets(connection, user.id)
        people.set_password(connection, user.id, password_hash)
        self._end(transaction, entrances.sessions_of(connection, user.id))

    def session(self, connection: Connection, session_id: str) -> Session | None:
        return entrances.find_session(connection, session_id)

    def _end(self, transaction: Transaction, ended: list[Session]) -> None:
        for session in ended:
            entrances.delete_session(transaction.connection, session.id)
        transaction.on_commit(lambda: self._ring.dismiss(sessions=ended))

    def _code_digest(self, email: str, code: str) -> bytes:
        return self._ring.digest(f"sign-up:{email}:{code}")
