"""The accounts' verbs: issue, revoke and recognise keys."""

import hmac
from collections.abc import Iterable

from parley.core.clock import Clock
from parley.core.errors import NotFound
from parley.core.ids import new_id
from parley.core.principal import Principal
from parley.domain.accounts import store
from parley.domain.accounts.model import IssuedKey, Key, KeyRequest, Organization, Project, new_secret
from parley.infra.db import Connection, Transaction

# Longer than any key; what is longer is no key and is not worth a digest.
_MAX_SECRET_CHARACTERS = 256


class Keys:
    """The keys that count, in memory, by digest. Follows the database at every commit that changes a key."""

    def __init__(self, pepper: bytes, keys: Iterable[Key] = ()) -> None:
        self._pepper = pepper
        # Replaced entry by entry; each is one atomic step, so the loop may read while the writer's thread changes it.
        self._live: dict[bytes, tuple[bytes, Principal]] = {}
        for key in keys:
            self.admit(key)

    def authenticate(self, secret: str) -> Principal | None:
        """Who calls with this secret, or None when it does not count.

        The look-up is by the whole digest under a secret pepper, so neither its time nor its collisions can be steered.
        """
        if len(secret) > _MAX_SECRET_CHARACTERS:
            return None
        digest = self.digest(secret)
        stored, principal = self._live.get(digest, (bytes(len(digest)), None))
        return principal if hmac.compare_digest(stored, digest) else None

    def digest(self, secret: str) -> bytes:
        """What is kept of a secret: HMAC-SHA256 under the pepper."""
        # A lone surrogate cannot come from a key, but must not become an error either.
        return hmac.digest(self._pepper, secret.encode("utf-8", "surrogatepass"), "sha256")

    def admit(self, key: Key) -> None:
        """Let a key count from now on, unless it is revoked."""
        if key.revoked_at is None:
            self._live[key.digest] = (key.digest, key.principal)

    def dismiss(self, key: Key) -> None:
        """Let a key no longer count, from now on."""
        self._live.pop(key.digest, None)


class Accounts:
    """Organizations, projects and keys in the database. Every verb works inside the transaction that it is handed."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def is_empty(self, connection: Connection) -> bool:
        """Whether no organization exists: nothing has been started on this database."""
        return store.count_organizations(connection) == 0

    def exists(self, connection: Connection, organization_id: str) -> bool:
        """Whether there is an organization of this id."""
        return store.has_organization(connection, organization_id)

    def found(self, transaction: Transaction, organization_name: str) -> Project:
        """Make an organization with its first project."""
        now = self._clock.now()
        organization = Organization(id=new_id("org-"), name=organization_name, created_at=now)
        project = Project(id=new_id("proj_"), organization_id=organization.id, name="Default project", created_at=now)
        store.insert_organization(transaction.connection, organization)
        store.insert_project(transaction.connection, project)
        return project

    def default_project(self, connection: Connection) -> Project:
        """The project of the first start. Raises NotFound before there was one."""
        project = store.first_project(connection)
        if project is None:
            raise NotFound("There is no project yet.")
        return project

    def issue(
        self, transaction: Transaction, project: Project, request: KeyRequest, *, secret: str | None = None
    ) -> IssuedKey:
        """Make a key of `project`: a fresh one, or the `secret` that the operator chose. It counts once it is durable."""
        secret = new_secret() if secret is None else secret
        key = Key(
            id=new_id("key_"),
            organization_id=project.organization_id,
            project_id=project.id,
            name=request.name,
            digest=self._keys.digest(secret),
            last_four=secret[-4:],
            scopes=request.scopes,
            allowed_models=request.allowed_models,
            created_at=self._clock.now(),
        )
        store.insert_key(transaction.connection, key)
        transaction.on_commit(lambda: self._keys.admit(key))
        return IssuedKey(key=key, secret=secret)

    def revoke(self, transaction: Transaction, key_id: str) -> Key:
        """Let a key no longer count. Revoking it again changes nothing. Raises NotFound."""
        store.set_revoked(transaction.connection, key_id, self._clock.now())
        key = store.find_key(transaction.connection, key_id)
        if key is None:
            raise NotFound(f"No such key: {key_id}")
        transaction.on_commit(lambda: self._keys.dismiss(key))
        return key

    def list_keys(self, connection: Connection) -> list[Key]:
        """Every key, the oldest first, revoked ones too."""
        return store.list_keys(connection)
