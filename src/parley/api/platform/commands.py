"""The commands of the control socket: what may be asked, what is answered, and the operation behind each."""

import msgspec

from parley.api.platform.money_commands import MoneyCommand, perform_on_money
from parley.core.errors import InvalidRequest, ParleyError
from parley.core.principal import Scope
from parley.domain.accounts.model import Key, KeyRequest
from parley.domain.catalog.entries import UpstreamEntry
from parley.domain.catalog.model import CatalogError
from parley.operations import add_model, add_upstream, manage_keys, remove_model
from parley.operations.records import Records
from parley.operations.remove_model import InUse


class CreateKey(msgspec.Struct, tag="keys.create", forbid_unknown_fields=True, kw_only=True):
    """Make a key. `models` None: it may use every model."""

    name: str
    scopes: tuple[Scope, ...] = (Scope.MODEL_REQUEST, Scope.READ)
    models: tuple[str, ...] | None = None


class RevokeKey(msgspec.Struct, tag="keys.revoke", forbid_unknown_fields=True, kw_only=True):
    """Let a key no longer count."""

    key_id: str


class ListKeys(msgspec.Struct, tag="keys.list", forbid_unknown_fields=True, kw_only=True):
    """Show every key, revoked ones too."""


class AddModel(msgspec.Struct, tag="models.add", forbid_unknown_fields=True, kw_only=True):
    """Add weights that the caller has put into the data folder under their hash."""

    name: str
    sha256: str
    template: str
    context_length: int
    num_parameters: int | None = None
    source: str = ""
    licence: str = ""


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


# What changes or shows the state that is kept.
StateCommand = CreateKey | RevokeKey | ListKeys | AddModel | AddUpstream | RemoveModel | MoneyCommand
Command = StateCommand | ShowStatus


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


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The answer to one command: `error`, one line, or what the command promises."""

    error: str | None = None
    keys: list[KeyLine] = []
    # For the terminal, one line each, by column.
    lines: list[dict[str, str]] = []
    # The new key itself; this is the only time that it is shown.
    secret: str | None = None
    # The snapshot that was added.
    snapshot: str | None = None
    # The weights that were removed, and those that are the default now.
    removed: str | None = None
    default: str | None = None
    url: str | None = None
    pid: int | None = None


async def perform(records: Records, command: StateCommand, in_use: InUse) -> Reply:
    """Run the operation behind a command. A refusal is a reply with its `error`."""
    try:
        return await _perform(records, command, in_use)
    except ParleyError as refusal:
        return Reply(error=refusal.message)
    except CatalogError as refusal:
        return Reply(error=str(refusal))


async def _perform(records: Records, command: StateCommand, in_use: InUse) -> Reply:
    match command:
        case CreateKey():
            if not command.scopes:
                raise InvalidRequest("A key needs a scope.", param="scopes")
            request = KeyRequest(
                name=command.name,
                scopes=frozenset(command.scopes),
                allowed_models=None if command.models is None else frozenset(command.models),
            )
            issued = await manage_keys.create_key(records, request)
            return Reply(keys=[_line(issued.key)], secret=issued.secret)
        case RevokeKey():
            return Reply(keys=[_line(await manage_keys.revoke_key(records, command.key_id))])
        case ListKeys():
            return Reply(keys=[_line(key) for key in await manage_keys.list_keys(records)])
        case AddModel() | AddUpstream() | RemoveModel():
            return await _perform_on_models(records, command, in_use)
        case _:
            return Reply(lines=await perform_on_money(records, command))


async def _perform_on_models(records: Records, command: AddModel | AddUpstream | RemoveModel, in_use: InUse) -> Reply:
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
            )
            return Reply(snapshot=(await add_model.add_model(records, addition)).name)
        case RemoveModel():
            removed = await remove_model.remove_model(records, command.name, in_use)
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
            return Reply(snapshot=(await add_upstream.add_upstream(records, upstream)).name)


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
    )
