"""`/v1/organization/audit_logs`: who changed what, from where; and all of it as one file."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, UnsetType
from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.opening import json_reply
from parley.api.openai.schemas.shared import ReplyStruct
from parley.api.platform.files import PORTION_ROWS, Rows, file_reply
from parley.api.platform.listing import integer, page_request_either_way, text, texts
from parley.core.actor import ActorKind
from parley.core.pages import Page, PageRequest
from parley.domain.audit.model import AuditEntry, AuditFilter
from parley.operations.audit_reading import EXPORTED, exported

_MAX_EXPORTED = 100_000


class AuditUser(ReplyStruct, kw_only=True):
    id: str
    email: str | None


class AuditSession(ReplyStruct, kw_only=True):
    user: AuditUser
    ip_address: str | None
    user_agent: str | None


class AuditKey(ReplyStruct, kw_only=True):
    id: str
    type: str
    user: AuditUser | None


class AuditActor(ReplyStruct, kw_only=True):
    """OpenAI's two kinds, and ours: the command line on the server's machine."""

    type: str
    session: AuditSession | UnsetType = UNSET
    api_key: AuditKey | UnsetType = UNSET
    ip_address: str | None
    user_agent: str | None


class AuditProject(ReplyStruct, kw_only=True):
    id: str


class ListAuditLogs(ReplyStruct, kw_only=True):
    """One page of the log, the newest entry first."""

    object: Literal["list"] = "list"
    data: Sequence[Mapping[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


async def list_audit_logs(call: Call) -> ASGIApp:
    """The changes of the organization, the newest first."""
    found = await _read(call, _wanted(call), page_request_either_way(call.http))
    data = [_to_wire(entry) for entry in found.items]
    return json_reply(
        ListAuditLogs(
            data=data,
            first_id=found.items[0].id if data else None,
            last_id=found.items[-1].id if data else None,
            has_more=found.has_more,
        )
    )


async def export_audit_logs(call: Call) -> ASGIApp:
    """The log as a file, the newest entry first: JSON lines, or CSV with `format=csv`.

    Where it is longer than one file may be, `x-parley-next-after` says what `after` continues it with.
    """
    wanted, after = _wanted(call), text(call.http, "after")
    records, organization_id = call.records, call.require_principal().organization_id
    whole = PageRequest(limit=_MAX_EXPORTED, after=after)
    last_id = await records.database.read(
        lambda connection: records.audit.last_of_page(connection, organization_id, wanted, whole)
    )
    if last_id is not None:
        call.reply_headers["x-parley-next-after"] = last_id
    return file_reply(call, "audit_log", EXPORTED, _exported(call, wanted, after, last_id))


async def _exported(
    call: Call, wanted: AuditFilter, after: str | None, last_id: str | None
) -> AsyncGenerator[Rows, None]:
    """The entries behind `after`, up to the one with `last_id`; None: to the oldest.

    What is added meanwhile is newer than all of them.
    """
    has_more = True
    while has_more:
        page = await _read(call, wanted, PageRequest(limit=PORTION_ROWS, after=after))
        ids = [entry.id for entry in page.items]
        num = ids.index(last_id) + 1 if last_id in ids else len(ids)
        yield [exported(entry) for entry in page.items[:num]]
        has_more = page.has_more and last_id not in ids
        after = ids[-1] if ids else None


def _wanted(call: Call) -> AuditFilter:
    return AuditFilter(
        since=_bound(call, "gte", "gt", 1),
        until=_bound(call, "lte", "lt", -1),
        types=texts(call.http, "event_types"),
        project_ids=texts(call.http, "project_ids"),
        actor_ids=texts(call.http, "actor_ids"),
        actor_emails=texts(call.http, "actor_emails"),
        resource_ids=texts(call.http, "resource_ids"),
    )


async def _read(call: Call, wanted: AuditFilter, page: PageRequest) -> Page[AuditEntry]:
    records, organization_id = call.records, call.require_principal().organization_id
    return await records.database.read(
        lambda connection: records.audit.list_entries(connection, organization_id, wanted, page)
    )


def _bound(call: Call, included: str, excluded: str, step: int) -> float | None:
    """`effective_at[gte]`, or `effective_at[gt]` a second further."""
    value = integer(call.http, f"effective_at[{included}]")
    beyond = integer(call.http, f"effective_at[{excluded}]")
    if value is not None:
        # A second of the wire is all of it.
        return float(value) if step > 0 else value + 0.999_999
    return None if beyond is None else float(beyond + 1) if step > 0 else beyond - 0.000_001


def _to_wire(entry: AuditEntry) -> dict[str, object]:
    """OpenAI puts what was changed under a key that is the entry's type."""
    user = AuditUser(id=entry.actor_user_id, email=entry.actor_email) if entry.actor_user_id else None
    actor = AuditActor(type=entry.actor_kind.value, ip_address=entry.address, user_agent=entry.user_agent)
    if entry.actor_kind is ActorKind.API_KEY:
        actor.api_key = AuditKey(id=entry.actor_id, type="service_account" if user is None else "user", user=user)
    elif user is not None:
        actor.type = "session"
        actor.session = AuditSession(user=user, ip_address=entry.address, user_agent=entry.user_agent)
    change = entry.change
    shown: dict[str, object] = {
        "id": entry.id,
        "type": change.type,
        "effective_at": int(entry.effective_at),
        "actor": actor,
        "resource_id": change.resource_id,
        "before": change.before,
        "after": change.after,
        change.type: {"id": change.resource_id, "data": change.after or change.before or {}},
    }
    if change.project_id is not None:
        shown["project"] = AuditProject(id=change.project_id)
    return shown
