"""The commands of the control socket: what may be asked, what is answered, and the operation behind each."""

import msgspec

from parley.api.platform.account_commands import (
    AccountCommand,
    ListOrganizations,
    ListProjects,
    ListUsers,
    perform_on_accounts,
)
from parley.api.platform.money_commands import (
    AddCredits,
    GrantCredits,
    MoneyCommand,
    SetBudget,
    SetPrice,
    ShowCredits,
    ThawAccount,
    perform_on_money,
)
from parley.core.actor import Actor
from parley.core.ct2 import WhisperFacts
from parley.core.errors import ParleyError
from parley.core.principal import Scope
from parley.core.snapshot import Snapshot
from parley.domain.accounts.model import Key, KeyRequest
from parley.domain.catalog.entries import UpstreamEntry
from parley.domain.catalog.model import CatalogError
from parley.operations import add_model, add_speech_model, add_upstream, manage_keys, remove_model
from parley.operations.command_line import operator
from parley.operations.model_changes import note_model, shown_model
from parley.operations.records import Records
from parley.operations.remove_model import InUse
from parley.operations.rotate_keys import rotate_key


class CreateKey(msgspec.Struct, tag="keys.create", forbid_unknown_fields=True, kw_only=True):
    """Make a key. `models` None: it may use every model."""

    name: str
    scopes: tuple[Scope, ...] = (Scope.MODEL_REQUEST, Scope.READ)
    models: tuple[str, ...] | None = None
    # None: the first organization, and its oldest project.
    organization_id: str | None = None
    project_id: str | None = None
    # Seconds since the epoch.
    expires_at: float | None = None


class RevokeKey(msgspec.Struct, tag="keys.revoke", forbid_unknown_fields=True, kw_only=True):
    """Let a key no longer count."""

    key_id: str


class RotateKey(msgspec.Struct, tag="keys.rotate", forbid_unknown_fields=True, kw_only=True):
    """Make a key that may what this one may; this one counts for `overlap_seconds` more."""

    key_id: str
    overlap_seconds: float = 0.0


class IdentifyKeys(msgspec.Struct, tag="keys.identify", forbid_unknown_fields=True, kw_only=True):
    """Say of each secret which key it is: the answer has a key, or null, for each."""

    secrets: tuple[str, ...]


class ListKeys(msgspec.Struct, tag="keys.list", forbid_unknown_fields=True, kw_only=True):
    """Show every key, revoked ones too."""


class AddSpeechModel(msgspec.Struct, tag="models.add_speech", forbid_unknown_fields=True, kw_only=True):
    """Add a folder that hears and that the caller has put into the data folder under its hash."""

    name: str
    sha256: str
    facts: WhisperFacts
    source: str = ""
    licence: str = ""


class AddModel(msgspec.Struct, tag="models.add", forbid_unknown_fields=True, kw_only=True):
    """Add weights that the caller has put into the data folder under their hash."""

    name: str
    sha256: str
    template: str
    context_length: int
    num_parameters: int | None = None
    source: str = ""
    licence: str = ""
    projector_sha256: str | None = None


class RemoveModel(msgspec.Struct, tag="models.remove", forbid_unknown_fields=True, kw_only=True):
    """Remove the weights behind a name, with every name pinned to them, and their file."""

    name: str


class AddUpstream(msgspec.Struct, tag="models.add_upstream", forbid_unknown_fields=True, kw_only=True):
    """Add a model that somebody's OpenAI-compatible server has; its vocabulary, if any, is in the data folder."""

    name: str
    upstream: UpstreamEntry
    context_length: int
    is_default: bool = False
    vocabulary_sha256: str | None = None
    template: str | None = None


class ShowStatus(msgspec.Struct, tag="status", forbid_unknown_fields=True, kw_only=True):
    """Say where the server answers."""


KeyCommand = CreateKey | RotateKey | IdentifyKeys | RevokeKey | ListKeys
# What changes or shows the state that is kept.
StateCommand = KeyCommand | AddModel | AddSpeechModel | AddUpstream | RemoveModel | AccountCommand | MoneyCommand
Command = StateCommand | ShowStatus
# What is done on a full disk, too: it reads, it makes room, or it must not wait.
_WITHOUT_ROOM = (
    ListKeys | IdentifyKeys | ShowCredits | ListOrganizations | ListProjects | ListUsers | RemoveModel | RevokeKey
)


class KeyLine(msgspec.Struct, kw_only=True):
    """A key as it may be shown: never its secret or digest. Times in seconds since the epoch."""

    id: str
    name: str
    project_id: str
    last_four: str
    scopes: list[Scope]
    models: list[str] | None
    created_at: float
    revoked_at: float | None
    expires_at: float | None = None


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The answer to one command: `error`, one line, or what the command promises."""

    error: str | None = None
    # For RotateKey: the new one and the old one.
    keys: list[KeyLine] = []
    # For IdentifyKeys: in the order of the secrets.
    found: list[KeyLine | None] = []
    # For the terminal, one line each, by column.
    lines: list[dict[str, str]] = []
    # The new key itself; this is the only time that it is shown.
    secret: str | None = None
    # The snapshot that was added.
    snapshot: str | None = None
    # The weights that were removed, and those that are the default now; those also of what hears, when such a model was added.
    removed: str | None = None
    default: str | None = None
    url: str | None = None
    public_url: str | None = None
    pid: int | None = None


async def perform(records: Records, command: StateCommand, in_use: InUse) -> Reply:
    """Run the operation behind a command. A refusal is a reply with its `error`."""
    try:
        if not isinstance(command, _WITHOUT_ROOM):
            records.check_room()
        return await _perform(records, command, in_use)
    except ParleyError as refusal:
        return Reply(error=refusal.message)
    except CatalogError as refusal:
        return Reply(error=str(refusal))


async def _perform(records: Records, command: StateCommand, in_use: InUse) -> Reply:
    match command:
        case CreateKey() | RotateKey() | IdentifyKeys() | RevokeKey() | ListKeys():
            return await _perform_on_keys(records, command)
        case AddModel() | AddSpeechModel() | AddUpstream() | RemoveModel():
            return await _perform_on_models(records, command, in_use)
        case ShowCredits() | AddCredits() | GrantCredits() | SetBudget() | SetPrice() | ThawAccount():
            return Reply(lines=await perform_on_money(records, command))
        case _:
            done = await perform_on_accounts(records, command)
            return Reply(lines=done.lines, secret=done.secret)


async def _perform_on_models(
    records: Records, command: AddModel | AddSpeechModel | AddUpstream | RemoveModel, in_use: InUse
) -> Reply:
    match command:
        case AddModel():
            addition = add_model.AddModel(
                name=command.name,
                sha256=command.sha256,
                template=command.template,
                context_length=command.context_length,
                num_parameters=command.num_parameters,
                source=command.source,
                licence=command.licence,
                projector_sha256=command.projector_sha256,
            )
            return await _added(records, await add_model.add_model(records, addition))
        case AddSpeechModel():
            speech = add_speech_model.AddSpeechModel(
                name=command.name,
                sha256=command.sha256,
                facts=command.facts,
                source=command.source,
                licence=command.licence,
            )
            reply = await _added(records, await add_speech_model.add_speech_model(records, speech))
            default = records.catalog.default_speech_weights
            reply.default = None if default is None else default.name
            return reply
        case RemoveModel():
            removed = await remove_model.remove_model(records, command.name, in_use)
            await note_model(records, "model.removed", before=removed.shown, after=None)
            return Reply(removed=removed.weights, default=removed.default)
        case AddUpstream():
            upstream = add_upstream.AddUpstream(
                name=command.name,
                upstream=command.upstream,
                context_length=command.context_length,
                is_default=command.is_default,
                vocabulary_sha256=command.vocabulary_sha256,
                template=command.template,
            )
            return await _added(records, await add_upstream.add_upstream(records, upstream))


async def _added(records: Records, snapshot: Snapshot) -> Reply:
    if snapshot.weights is not None:
        after = shown_model(records, snapshot.name, snapshot.weights)
        await note_model(records, "model.added", before=None, after=after)
    return Reply(snapshot=snapshot.name)


async def _perform_on_keys(records: Records, command: KeyCommand) -> Reply:
    match command:
        case CreateKey():
            request = KeyRequest(
                name=command.name,
                scopes=frozenset(command.scopes),
                allowed_models=None if command.models is None else frozenset(command.models),
                expires_at=command.expires_at,
            )
            actor = await operator(records, command.organization_id)
            issued = await manage_keys.create_key(records, actor, request, project_id=command.project_id)
            return Reply(keys=[_line(issued.key)], secret=issued.secret)
        case RotateKey():
            issued = await rotate_key(
                records,
                await _owner_of(records, command.key_id),
                command.key_id,
                project_id=None,
                overlap_seconds=command.overlap_seconds,
            )
            old = await records.database.read(lambda connection: records.accounts.key(connection, command.key_id))
            return Reply(keys=[_line(issued.key), _line(old)], secret=issued.secret)
        case IdentifyKeys():
            found = await manage_keys.identify_keys(records, list(command.secrets))
            return Reply(found=[None if key is None else _line(key) for key in found])
        case RevokeKey():
            actor = await _owner_of(records, command.key_id)
            return Reply(keys=[_line(await manage_keys.revoke_key(records, actor, command.key_id))])
        case ListKeys():
            return Reply(keys=[_line(key) for key in await manage_keys.all_keys(records)])


async def _owner_of(records: Records, key_id: str) -> Actor:
    """The operator, at work in the organization of a key. Raises NotFound."""
    key = await records.database.read(lambda connection: records.accounts.key(connection, key_id))
    return await operator(records, key.organization_id)


def _line(key: Key) -> KeyLine:
    return KeyLine(
        id=key.id,
        name=key.name,
        project_id=key.project_id,
        last_four=key.last_four,
        scopes=sorted(key.scopes),
        models=None if key.allowed_models is None else sorted(key.allowed_models),
        created_at=key.created_at,
        revoked_at=key.revoked_at,
        expires_at=key.expires_at,
    )
