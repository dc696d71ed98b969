"""Models as the rest of the house sees them: weights on disk, and the dated snapshot under which they are served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from parley.core.price import Price


class Capability(StrEnum):
    CHAT = "chat"
    COMPLETE = "complete"
    EDIT = "edit"
    EMBED = "embed"
    TRANSCRIBE = "transcribe"
    MODERATE = "moderate"
    # These two follow from the weights: a template with a form for tools, an engine that can apply a grammar.
    TOOLS = "tools"
    STRUCTURED_OUTPUT = "structured_output"


class EngineKind(StrEnum):
    LLAMA = "llama"
    ECHO = "echo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One immutable set of weights that can answer. Two names with the same `name` share replicas."""

    name: str
    engine: EngineKind
    # None for the echo engine, which has no file.
    path: Path | None
    sha256: str | None
    # The longest prompt plus completion, in tokens, that one slot of a replica serves.
    context_length: int
    # A key of `serving.prompting.templates.TEMPLATES`.
    template: str
    num_parameters: int | None = None
    description: str = ""
    # Engine options, by the adapter's names: num_slots, num_threads, batch_tokens.
    options: Mapping[str, int] = field(default_factory=dict)

    @property
    def can_constrain(self) -> bool:
        """Whether the engine can hold an answer to a grammar; echo, which only repeats, cannot."""
        return self.engine is not EngineKind.ECHO


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A dated version of a model. `weights` is None where the name is known but nothing is installed that can serve it."""

    name: str
    family: str
    weights: Weights | None
    # What the name promises; the window really served is `context_length`.
    promised_context_length: int
    capabilities: frozenset[Capability]
    price: Price
    # Seconds since the epoch, as `/v1/models` shows it.
    created: int
    shutdown_date: date | None = None
    owned_by: str = "parley"
    # True where the name is kept for old programs and whatever weights the operator installed last answer to it.
    is_stand_in: bool = False

    @property
    def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""
        if self.weights is None:
            return 0
        return min(self.promised_context_length, self.weights.context_length)
