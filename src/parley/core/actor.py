"""Who changes something, and from where: what the audit log says of every change."""

from dataclasses import dataclass
from enum import StrEnum

from parley.core.principal import Principal


class ActorKind(StrEnum):
    """A key, a person's session, the command line on the server's own machine, somebody who has yet to log in, or the server."""

    API_KEY = "api_key"
    SESSION = "session"
    COMMAND_LINE = "command_line"
    VISITOR = "visitor"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The principal with what else is known of the caller; None where it is not."""

    kind: ActorKind
    principal: Principal
    address: str | None = None
    user_agent: str | None = None

    @property
    def organization_id(self) -> str:
        return self.principal.organization_id
