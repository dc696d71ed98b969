"""SQL on sign-ups, sessions and resets."""

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, select, update

from parley.domain.accounts.entrances import Reset, Session, SignUp
from parley.domain.accounts.store.tables import resets, sessions, sign_ups


def keep_sign_up(connection: Connection, sign_up: SignUp) -> None:
    """Keep a sign-up, in the place of one of its address that has the same code by chance."""
    connection.execute(delete(sign_ups).where(_is(sign_up.email, sign_up.digest)))
    connection.execute(
        sign_ups.insert().values(
            email=sign_up.email,
            name=sign_up.name,
            organization_name=sign_up.organization_name,
            password_hash=sign_up.password_hash,
            digest=sign_up.digest,
            num_tries=sign_up.num_tries,
            created_at=sign_up.created_at,
            expires_at=sign_up.expires_at,
        )
    )


def find_sign_up(connection: Connection, email: str, digest: bytes) -> SignUp | None:
    row = connection.execute(select(sign_ups).where(_is(email, digest))).first()
    if row is None:
        return None
    return SignUp(
        email=row.email,
        name=row.name,
        organization_name=row.organization_name,
        password_hash=row.password_hash,
        digest=row.digest,
        num_tries=row.num_tries,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def count_sign_ups(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(sign_ups)).scalar_one()


def count_try(connection: Connection, email: str) -> None:
    """One more wrong code, for each sign-up of the address that waits."""
    connection.execute(update(sign_ups).where(sign_ups.c.email == email).values(num_tries=sign_ups.c.num_tries + 1))


def delete_sign_ups(connection: Connection, email: str) -> None:
    connection.execute(delete(sign_ups).where(sign_ups.c.email == email))


def insert_reset(connection: Connection, reset: Reset) -> None:
    connection.execute(resets.insert().values(digest=reset.digest, user_id=reset.user_id, expires_at=reset.expires_at))


def find_reset(connection: Connection, digest: bytes) -> Reset | None:
    row = connection.execute(select(resets).where(resets.c.digest == digest)).first()
    return None if row is None else Reset(digest=row.digest, user_id=row.user_id, expires_at=row.expires_at)


def delete_resets(connection: Connection, user_id: str) -> None:
    connection.execute(delete(resets).where(resets.c.user_id == user_id))


def insert_session(connection: Connection, session: Session) -> None:
    connection.execute(
        sessions.insert().values(
            digest=session.digest,
            id=session.id,
            user_id=session.user_id,
            organization_id=session.organization_id,
            created_at=session.created_at,
            expires_at=session.expires_at,
        )
    )


def find_session(connection: Connection, session_id: str) -> Session | None:
    row = connection.execute(select(sessions).where(sessions.c.id == session_id)).first()
    return None if row is None else _session(row)


def all_sessions(connection: Connection, organization_id: str | None = None) -> list[Session]:
    """Every session, of the organization or of all, expired ones too."""
    query = select(sessions)
    if organization_id is not None:
        query = query.where(sessions.c.organization_id == organization_id)
    return [_session(row) for row in connection.execute(query)]


def sessions_of(connection: Connection, user_id: str) -> list[Session]:
    """A user's sessions, the oldest first."""
    query = select(sessions).where(sessions.c.user_id == user_id).order_by(sessions.c.created_at, sessions.c.id)
    return [_session(row) for row in connection.execute(query)]


def delete_session(connection: Connection, session_id: str) -> None:
    connection.execute(delete(sessions).where(sessions.c.id == session_id))


def expired_sessions(connection: Connection, now: float) -> list[Session]:
    return [_session(row) for row in connection.execute(select(sessions).where(sessions.c.expires_at <= now))]


def delete_expired(connection: Connection, now: float) -> None:
    """Forget what does not count any more: sign-ups and resets."""
    for table in (sign_ups, resets):
        connection.execute(delete(table).where(table.c.expires_at <= now))


def _is(email: str, digest: bytes) -> ColumnElement[bool]:
    return and_(sign_ups.c.email == email, sign_ups.c.digest == digest)


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(
        id=row.id,
        digest=row.digest,
        user_id=row.user_id,
        organization_id=row.organization_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
