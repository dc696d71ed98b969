"""Rotate a key: another one takes its place, and both count for a while, on one budget and one set of limits."""

from dataclasses import replace

from parley.core.actor import Actor
from parley.core.errors import InvalidRequest, PermissionDenied
from parley.domain.accounts.model import IssuedKey, Key, KeyRequest
from parley.domain.accounts.service import MAX_COUNTED_TOGETHER
from parley.infra.db import Connection, Transaction
from parley.operations.authority import live_project_of, note, project_of, within_maker
from parley.operations.keys_in_reach import is_anothers, key_in_reach, living
from parley.operations.manage_keys import change_keys, sharing, state_budget
from parley.operations.records import Records

MAX_OVERLAP_SECONDS = 30 * 86_400


async def rotate_key(
    records: Records, actor: Actor, key_id: str, *, project_id: str | None, overlap_seconds: float
) -> IssuedKey:
    """A new key that may what the old one may; the old one counts for `overlap_seconds` more.

    Raises NotFound, PermissionDenied for another person's key: whoever gets the new secret acts in that person's name.
    InvalidRequest for one that is over or was rotated before, and where too many of its predecessors still count.
    Both draw on one budget and one set of limits, and so does whatever comes in their place.
    """
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(
            f"Invalid 'overlap_seconds': expected 0 to {MAX_OVERLAP_SECONDS}.", param="overlap_seconds"
        )

    def work(transaction: Transaction) -> IssuedKey:
        connection = transaction.connection
        old = living(records, key_in_reach(records, connection, actor, project_id, key_id))
        if is_anothers(actor, old):
            raise PermissionDenied(
                "You may not rotate a key that belongs to another person. You may revoke it.", code="not_your_key"
            )
        # An admin key goes on administering when its project is archived.
        find = project_of if old.is_admin else live_project_of
        project = find(records, connection, actor, old.project_id)
        successor = _lost_successor(records, connection, old)
        request = KeyRequest(
            name=old.name,
            scopes=old.scopes,
            allowed_models=old.allowed_models,
            # In an overlap its own end is kept with whatever took its place.
            expires_at=old.expires_at if successor is None else successor.expires_at,
            user_id=old.user_id,
            service_account_id=old.service_account_id,
            limits=old.limits,
            budget_nano=old.budget_nano,
            counted_as=old.spender,
        )
        if overlap_seconds:
            _check_room_beside(records, connection, old)
            end = records.clock.now() + overlap_seconds
            ended = replace(old, expires_at=end if old.expires_at is None else min(end, old.expires_at))
        else:
            # Before the new one is made: an organization that has all the keys that it may can rotate them.
            ended = records.accounts.revoke(transaction, old)
        issued = records.accounts.issue(transaction, project, within_maker(actor, request))
        if overlap_seconds:
            ended = replace(ended, replaced_by=issued.key.id)
            records.accounts.change_keys(transaction, [ended])
        state_budget(records, transaction, issued.key)
        note(records, transaction, actor, "api_key.rotated", before=old, after=ended)
        note(records, transaction, actor, "api_key.created", after=issued.key)
        change_keys(records, transaction, actor, sharing(records, transaction, issued.key))
        return issued

    return await records.database.transaction(work)


def _lost_successor(records: Records, connection: Connection, key: Key) -> Key | None:
    """What took the place of a key in its overlap and counts no more; None: the key was not rotated.

    Raises InvalidRequest where the successor counts: a second one is wanted by who has lost the first, or stolen the key;
    and where its end has passed, which another one would have as well.
    """
    if key.replaced_by is None:
        return None
    successor = records.accounts.key(connection, key.replaced_by)
    if successor.is_over(records.clock.now()):
        raise InvalidRequest("The key that took this one's place has expired. Make a new one.", code="key_expired")
    if successor.revoked_at is None:
        raise InvalidRequest(
            f"This key was rotated already: {key.replaced_by} takes its place. Rotate that one where its secret was lost.",
            code="already_rotated",
        )
    return successor


def _check_room_beside(records: Records, connection: Connection, key: Key) -> None:
    """Raises InvalidRequest where as many of the keys before this one still count as may."""
    if len(records.accounts.counted_with(connection, key)) + 1 >= MAX_COUNTED_TOGETHER:
        raise InvalidRequest(
            f"At most {MAX_COUNTED_TOGETHER} keys that came one in another's place count at once. Revoke an old one first.",
            code="limit_reached",
        )
