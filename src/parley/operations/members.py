"""Members of an organization and the invites that make them: each verb one unit of work with its entry in the audit log."""

from collections.abc import Collection
from dataclasses import replace

from parley.core.actor import Actor, ActorKind
from parley.core.errors import InvalidRequest
from parley.core.pages import Page, PageRequest
from parley.domain.accounts.people import Invite, InviteRequest, Member, Role, normal_email
from parley.infra.db import Transaction
from parley.operations.authority import check_appointment, live_project_of, note, note_revoked
from parley.operations.letters import invite_letter
from parley.operations.records import Records


async def list_members(
    records: Records, actor: Actor, page: PageRequest, *, emails: Collection[str] | None = None
) -> Page[Member]:
    """The members of the actor's organization, the oldest membership first; with `emails` those of these addresses."""
    wanted = None if emails is None else [email.strip().lower() for email in emails]
    return await records.database.read(
        lambda connection: records.membership.list_members(connection, actor.organization_id, page, emails=wanted)
    )


async def find_member(records: Records, actor: Actor, user_id: str) -> Member:
    """Raises NotFound."""
    return await records.database.read(
        lambda connection: records.membership.member(connection, actor.organization_id, user_id)
    )


async def change_role(records: Records, actor: Actor, user_id: str, role: Role) -> Member:
    """Give a member another role; their keys and sessions follow at once. Raises NotFound, InvalidRequest for the last owner."""

    def work(transaction: Transaction) -> Member:
        member = records.membership.member(transaction.connection, actor.organization_id, user_id)
        check_appointment(actor, member.role, role)
        changed = records.membership.change_role(transaction, actor.organization_id, member, role)
        note(records, transaction, actor, "user.updated", before=_seen(actor, member), after=_seen(actor, changed))
        return changed

    return await records.database.transaction(work)


async def remove_member(records: Records, actor: Actor, user_id: str) -> None:
    """Take a member out: their keys are revoked, their sessions end. Raises NotFound, InvalidRequest for the last owner."""

    def work(transaction: Transaction) -> None:
        member = records.membership.member(transaction.connection, actor.organization_id, user_id)
        check_appointment(actor, member.role)
        revoked = records.membership.remove_member(transaction, actor.organization_id, member)
        note_revoked(records, transaction, actor, revoked)
        note(records, transaction, actor, "user.deleted", before=_seen(actor, member))

    await records.database.transaction(work)


async def invite(records: Records, actor: Actor, request: InviteRequest, *, public_url: str) -> tuple[Invite, str]:
    """Offer membership by mail; the token of the mail's link is returned for an operator who brings it otherwise.

    Raises RateLimited, and Overloaded where too many mails wait; nothing was made then.
    """
    email = normal_email(request.email)
    check_appointment(actor, request.role, *request.projects.values())
    wanted = replace(
        request,
        email=email,
        user_id=actor.principal.user_id,
        key_id=actor.principal.key_id if actor.kind is ActorKind.API_KEY else None,
    )

    organization = await records.database.read(
        lambda connection: records.accounts.organization(connection, actor.organization_id)
    )

    def work(transaction: Transaction) -> tuple[Invite, str]:
        for project_id in wanted.projects:
            live_project_of(records, transaction.connection, actor, project_id)
        made, token = records.membership.invite(transaction, organization, wanted)
        note(records, transaction, actor, "invite.sent", after=made)
        return made, token

    # The operator's own have their place beside the codes, whoever else invites.
    with records.mail.place(None if organization.is_house else organization.id) as place:
        made, token = await records.database.transaction(work)
        place.letter = invite_letter(made, token, organization_name=organization.name, public_url=public_url)
    return made, token


async def find_invite(records: Records, actor: Actor, invite_id: str) -> Invite:
    """Raises NotFound."""
    return await records.database.read(
        lambda connection: records.membership.find_invite(connection, actor.organization_id, invite_id)
    )


async def list_invites(records: Records, actor: Actor, page: PageRequest) -> Page[Invite]:
    """The organization's invites, the oldest first, accepted and expired ones too."""
    return await records.database.read(
        lambda connection: records.membership.list_invites(connection, actor.organization_id, page)
    )


async def withdraw_invite(records: Records, actor: Actor, invite_id: str) -> None:
    """Delete an invite; its link no longer counts. Raises NotFound, InvalidRequest for one that was accepted."""

    def work(transaction: Transaction) -> None:
        found = records.membership.find_invite(transaction.connection, actor.organization_id, invite_id)
        if found.accepted_at is not None:
            raise InvalidRequest("An invitation that was accepted cannot be deleted.", code="invite_accepted")
        check_appointment(actor, found.role)
        records.membership.withdraw(transaction, found)
        note(records, transaction, actor, "invite.deleted", before=found)

    await records.database.transaction(work)


def seen_member(organization_id: str, member: Member) -> dict[str, object]:
    """A membership as the audit log shows it."""
    return {
        "id": member.user.id,
        "organization_id": organization_id,
        "email": member.user.email,
        "role": member.role.value,
    }


def _seen(actor: Actor, member: Member) -> dict[str, object]:
    return seen_member(actor.organization_id, member)
