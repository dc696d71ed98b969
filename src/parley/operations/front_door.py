"""How people come in: sign up, verify, log in, reset a password, accept an invite. What is wrong is told in the same words."""

from dataclasses import dataclass, replace

from parley.core.actor import Actor
from parley.core.clock import Clock
from parley.core.errors import AuthenticationFailed, InvalidRequest, PermissionDenied
from parley.core.principal import Principal
from parley.domain.accounts.attempts import Attempts
from parley.domain.accounts.entrances import Session
from parley.domain.accounts.model import OrganizationStatus
from parley.domain.accounts.passwords import Passwords
from parley.domain.accounts.people import Member, Role, User, normal_email
from parley.infra.db import Connection, Transaction
from parley.infra.mail import Letter
from parley.infra.settings import Settings
from parley.operations.authority import checked_name, note
from parley.operations.credit import grant_at_sign_up
from parley.operations.letters import code_letter, known_letter, reset_letter
from parley.operations.members import seen_member
from parley.operations.records import Records

_HOUR = 3_600.0
_QUARTER = 900.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpRules:
    """What the operator says of sign-ups. No `domains`: every one."""

    is_open: bool = True
    needs_approval: bool = False
    domains: tuple[str, ...] = ()
    public_url: str

    @classmethod
    def of(cls, settings: Settings, url: str) -> "SignUpRules":
        """`url` is where the server listens, for links where no public address is set."""
        return cls(
            is_open=settings.sign_up != "closed",
            needs_approval=settings.sign_up == "approval",
            domains=tuple([domain.lower().lstrip("@") for domain in settings.sign_up_domains]),
            public_url=settings.public_url or url,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """What a person says of themselves."""

    email: str
    password: str
    name: str
    organization_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Somebody who is in: the session, the token for its cookie, and who it is."""

    session: Session
    token: str
    user: User


class FrontDoor:
    """The verbs, with the limits on how often each may be tried. `visitor` is who asks, as far as anybody knows."""

    def __init__(self, records: Records, passwords: Passwords, rules: SignUpRules, clock: Clock) -> None:
        self._records = records
        self._passwords = passwords
        self.rules = rules
        # By client address, then by e-mail address: neither many accounts from one place nor one account from many.
        # Each counts apart: subjects that are made up for one push none out of another.
        self._sign_ups = Attempts(clock, most=5, window_seconds=_HOUR)
        self._sign_ups_of = Attempts(clock, most=10, window_seconds=_HOUR)
        self._codes = Attempts(clock, most=20, window_seconds=_QUARTER)
        self._codes_of = Attempts(clock, most=100, window_seconds=_DAY)
        # Of one client for one e-mail address: the least of these, so that no client alone locks an address out.
        self._codes_from_to = Attempts(clock, most=20, window_seconds=_DAY)
        self._log_ins = Attempts(clock, most=10, window_seconds=_QUARTER)
        self._log_ins_of = Attempts(clock, most=200, window_seconds=_DAY)
        self._log_ins_from_to = Attempts(clock, most=20, window_seconds=_DAY)
        self._resets = Attempts(clock, most=5, window_seconds=_HOUR)
        self._resets_of = Attempts(clock, most=10, window_seconds=_HOUR)

    async def sign_up(self, visitor: Actor, applicant: Applicant) -> None:
        """Mail a code to the address. Whether it has an account already, only its reader learns.

        Raises PermissionDenied where sign-up is closed or not for that domain, RateLimited, InvalidRequest, Overloaded.
        """
        self._sign_ups.count(visitor.address or "unknown")
        email = normal_email(applicant.email)
        self._check_rules(email)
        name = checked_name(applicant.name or email.partition("@")[0])
        organization_name = checked_name(applicant.organization_name or name)
        self._sign_ups_of.count(email)

        def work(transaction: Transaction) -> str | None:
            self._records.doors.check_room(transaction)
            if self._is_somewhere(transaction.connection, self._user(transaction.connection, email)):
                return None
            return self._records.doors.begin_sign_up(
                transaction,
                email=email,
                name=name,
                organization_name=organization_name,
                password_hash=password_hash,
            )

        with self._records.mail.place() as place:
            # Hashed in either case, so that the reply takes as long.
            password_hash = await self._passwords.hash(applicant.password)
            code = await self._records.database.transaction(work)
            known = known_letter(email, public_url=self.rules.public_url)
            place.letter = known if code is None else code_letter(email, code)

    async def verify(self, visitor: Actor, *, email: str, code: str, password: str) -> Entered:
        """Make the user, with an organization of their own, and log them in. Raises InvalidRequest for a wrong code.

        Who has an account and belongs nowhere any more keeps it and gets the new password: the code shows that the
        address is theirs, as the link of a reset would.

        The password is asked for again: a stranger may have signed up with this address and a password of theirs, and
        the owner of the address must not complete that with the code of the stranger's mail.
        """
        self._codes.count(visitor.address or "unknown")
        email = normal_email(email)
        self._codes_from_to.count(f"{visitor.address} {email}")
        self._codes_of.count(email)
        code, doors = code.strip(), self._records.doors
        waiting = await self._records.database.read(lambda connection: doors.find_sign_up(connection, email, code))
        password_hash = None if waiting is None else waiting.password_hash
        is_right = await self._passwords.is_right(password, password_hash)

        def work(transaction: Transaction) -> Entered | None:
            sign_up = doors.try_code(transaction, email, code if is_right else "")
            if sign_up is None or sign_up.password_hash != password_hash:
                return None
            user = self._user(transaction.connection, email)
            if self._is_somewhere(transaction.connection, user):
                return None
            is_new = user is None
            if user is None:
                user = self._records.membership.add_user(
                    transaction, email=email, name=sign_up.name, password_hash=sign_up.password_hash
                )
            else:
                doors.set_password(transaction, user, sign_up.password_hash)
            status = OrganizationStatus.PENDING if self.rules.needs_approval else OrganizationStatus.ACTIVE
            project = self._records.accounts.found(transaction, sign_up.organization_name, status=status)
            member = self._records.membership.add_member(transaction, project.organization_id, user, Role.OWNER)
            by = _as_user(visitor, user, project.organization_id)
            note(
                self._records,
                transaction,
                by,
                "organization.created",
                after={
                    "id": project.organization_id,
                    "organization_id": project.organization_id,
                    "name": sign_up.organization_name,
                    "status": status.value,
                },
            )
            note(self._records, transaction, by, "user.added", after=seen_member(project.organization_id, member))
            if is_new:
                grant_at_sign_up(self._records, transaction, by)
            return self._enter(transaction, visitor, user, project.organization_id)

        entered = await self._records.database.transaction(work)
        if entered is None:
            raise InvalidRequest("The code is wrong, or does not count any more.", param="code", code="invalid_code")
        return entered

    async def log_in(self, visitor: Actor, *, email: str, password: str, organization_id: str | None = None) -> Entered:
        """A new session, whatever session the browser had. Raises AuthenticationFailed, RateLimited."""
        email = normal_email(email)
        # Counted before the password is looked at, so that guesses side by side are counted too.
        from_to = f"{visitor.address} {email}"
        self._log_ins.count(visitor.address or "unknown")
        self._log_ins_from_to.count(from_to)
        self._log_ins_of.count(email)
        user = await self._records.database.read(lambda connection: self._user(connection, email))
        is_right = await self._passwords.is_right(password, None if user is None else user.password_hash)
        if not is_right or user is None:
            raise AuthenticationFailed("The e-mail address or the password is wrong.", code="invalid_login")
        self._log_ins_from_to.forget(from_to)
        self._log_ins_of.forget(email)

        def work(transaction: Transaction) -> Entered:
            self._check_unchanged(transaction.connection, user)
            found = self._records.membership.organizations_of(transaction.connection, user)
            # Without a name the oldest membership, but where nothing can be done only if there is no other.
            found.sort(key=lambda one: one[0].status is not OrganizationStatus.ACTIVE)
            theirs = [organization.id for organization, _ in found]
            if not theirs or (organization_id is not None and organization_id not in theirs):
                raise AuthenticationFailed("You are no member of that organization.", code="no_organization")
            return self._enter(transaction, visitor, user, organization_id or theirs[0])

        return await self._records.database.transaction(work)

    async def log_out(self, actor: Actor) -> None:
        """End the session."""

        def work(transaction: Transaction) -> None:
            self._records.doors.close_session(transaction, actor.principal.key_id)
            note(self._records, transaction, actor, "logout.succeeded", before={"id": actor.principal.key_id})

        await self._records.database.transaction(work)

    async def ask_reset(self, visitor: Actor, *, email: str) -> None:
        """Mail a link to the address, if it has an account. Raises RateLimited, Overloaded."""
        email = normal_email(email)
        self._resets.count(visitor.address or "unknown")
        self._resets_of.count(email)

        def work(transaction: Transaction) -> str | None:
            user = self._user(transaction.connection, email)
            return None if user is None else self._records.doors.begin_reset(transaction, user)

        async def write() -> Letter | None:
            token = await self._records.database.transaction(work)
            return None if token is None else reset_letter(email, token, public_url=self.rules.public_url)

        # An unknown address takes a place, too, and nobody waits for what is written down for a known one: both are answered
        # alike and as soon.
        with self._records.mail.place() as place:
            place.letter = write

    async def reset(self, visitor: Actor, *, token: str, password: str) -> None:
        """Set a new password, once for each link; every session of the user ends. Raises InvalidRequest."""
        self._codes.count(visitor.address or "unknown")
        doors = self._records.doors
        # A link that does not count is not worth the work of hashing.
        await self._records.database.read(lambda connection: doors.user_of_reset(connection, token))
        password_hash = await self._passwords.hash(password)

        def work(transaction: Transaction) -> User:
            user = doors.user_of_reset(transaction.connection, token)
            doors.set_password(transaction, user, password_hash)
            for organization, _ in self._records.membership.organizations_of(transaction.connection, user):
                by = _as_user(visitor, user, organization.id)
                note(
                    self._records,
                    transaction,
                    by,
                    "password.reset",
                    after={"id": user.id, "organization_id": organization.id},
                )
            return user

        user = await self._records.database.transaction(work)
        self._log_ins_from_to.forget(f"{visitor.address} {user.email}")
        self._log_ins_of.forget(user.email)

    async def accept_invite(self, visitor: Actor, *, token: str, name: str, password: str) -> Entered:
        """Join an organization: as the user that the address has already, with their password, or as a new one.

        Raises InvalidRequest, AuthenticationFailed, RateLimited.
        """
        self._codes.count(visitor.address or "unknown")
        membership = self._records.membership

        def look(connection: Connection) -> tuple[str, User | None]:
            invite = membership.invite_of_token(connection, token)
            return invite.email, membership.user_by_email(connection, invite.email)

        email, known = await self._records.database.read(look)
        if known is not None and not await self._passwords.is_right(password, known.password_hash):
            raise AuthenticationFailed("The password is wrong.", code="invalid_login")
        new_hash = await self._passwords.hash(password) if known is None else None
        new_name = checked_name(name or email.partition("@")[0]) if known is None else ""

        def work(transaction: Transaction) -> Entered:
            invite = membership.invite_of_token(transaction.connection, token)
            user = membership.user_by_email(transaction.connection, email)
            if known is not None:
                self._check_unchanged(transaction.connection, known)
            if user is None:
                user = membership.add_user(transaction, email=email, name=new_name, password_hash=new_hash)
            elif known is None:
                raise InvalidRequest("This address has an account by now; try again.", code="invalid_token")
            member: Member = membership.accept(transaction, invite, user)
            by = _as_user(visitor, user, invite.organization_id)
            note(
                self._records,
                transaction,
                by,
                "invite.accepted",
                after={**seen_member(invite.organization_id, member), "invite_id": invite.id},
            )
            return self._enter(transaction, visitor, user, invite.organization_id)

        return await self._records.database.transaction(work)

    def _user(self, connection: Connection, email: str) -> User | None:
        return self._records.membership.user_by_email(connection, email)

    def _is_somewhere(self, connection: Connection, user: User | None) -> bool:
        """Whether it is somebody's who belongs to an organization: only an invite leads them into another."""
        return user is not None and bool(self._records.membership.organizations_of(connection, user))

    def _check_unchanged(self, connection: Connection, user: User) -> None:
        """Hashing takes its time: a password that was reset meanwhile opens nothing any more. Raises AuthenticationFailed."""
        now = self._user(connection, user.email)
        if now is None or now.password_hash != user.password_hash:
            raise AuthenticationFailed("The e-mail address or the password is wrong.", code="invalid_login")

    def _enter(self, transaction: Transaction, visitor: Actor, user: User, organization_id: str) -> Entered:
        session, token = self._records.doors.open_session(transaction, user, organization_id)
        by = _as_user(visitor, user, organization_id)
        by = replace(by, principal=replace(by.principal, key_id=session.id))
        note(
            self._records,
            transaction,
            by,
            "login.succeeded",
            after={"id": session.id, "organization_id": organization_id},
        )
        return Entered(session=session, token=token, user=user)

    def _check_rules(self, email: str) -> None:
        if not self.rules.is_open:
            raise PermissionDenied("Nobody can sign up here. Ask for an invitation.", code="sign_up_closed")
        domain = email.rpartition("@")[2]
        if self.rules.domains and domain not in self.rules.domains:
            raise PermissionDenied("Addresses of that domain cannot sign up here.", code="domain_not_allowed")


def _as_user(visitor: Actor, user: User, organization_id: str) -> Actor:
    """The visitor, who has shown who they are; for the audit log alone, with no right to anything."""
    principal = Principal(
        organization_id=organization_id, project_id="", key_id="", scopes=frozenset(), user_id=user.id
    )
    return replace(visitor, principal=principal)
