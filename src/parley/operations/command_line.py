"""The command line as an actor: whoever may use the data folder operates the installation."""

from parley.core.actor import Actor, ActorKind
from parley.core.principal import Principal
from parley.domain.accounts.model import OWNER_SCOPES
from parley.infra.db import Connection
from parley.operations.records import Records

_NAME = "command_line"


async def operator(records: Records, organization_id: str | None = None) -> Actor:
    """The operator, at work in an organization; None: in the first. Raises NotFound."""

    def look(connection: Connection) -> str:
        wanted = records.accounts.house_id(connection) if organization_id is None else organization_id
        return records.accounts.organization(connection, wanted or "").id

    principal = Principal(
        organization_id=await records.database.read(look), project_id="", key_id=_NAME, scopes=OWNER_SCOPES
    )
    return Actor(kind=ActorKind.COMMAND_LINE, principal=principal)
