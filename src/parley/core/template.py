"""A chat template as data: what is written around each message. It is scaffolding only; content is never part of it."""

from dataclasses import dataclass
from enum import StrEnum

# The families that `serving.prompting.templates` has, for those below it who check a name; a test compares the two.
TEMPLATE_NAMES = frozenset({"chatml", "gemma", "llama-3", "mistral", "phi-3", "plain", "zephyr"})


class Role(StrEnum):
    """Who speaks. `developer` is today's word for `system`; templates that do not know it write it as `system`."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands before and after a message of one role."""

    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """The scaffolding of one template family.

    `frames` has an entry for SYSTEM, USER and ASSISTANT. `named` is put after a frame's `before` role line when the
    message has a name, with `{name}` replaced. `stop` are texts that end a turn where the model has no end token.
    """

    name: str
    opening: str
    frames: dict[Role, Frame]
    generation: str
    # How a template without a system role carries one: "role" (it has one) or "first_user" (put before the first user turn).
    system_placement: str = "role"
    stop: tuple[str, ...] = ()
