"""Models as the rest of the house sees them: weights on disk, and the dated snapshot under which they are served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from parley.core.price import Price
from parley.core.upstream import Upstream


class Capability(StrEnum):
    CHAT = "chat"
    COMPLETE = "complete"
    EDIT = "edit"
    EMBED = "embed"
    TRANSCRIBE = "transcribe"
    # It follows from the weights as well.
    TRANSLATE = "translate"
    MODERATE = "moderate"
    # These follow from the weights: a template with a form for tools, an engine that can apply a grammar.
    TOOLS = "tools"
    STRUCTURED_OUTPUT = "structured_output"
    # So does this: weights with a projector, or at an upstream that takes pictures.
    VISION = "vision"


class EngineKind(StrEnum):
    LLAMA = "llama"
    ECHO = "echo"
    UPSTREAM = "upstream"
    SPHINX = "sphinx"
    WHISPER = "whisper"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechAbilities:
    """What weights that hear can do. `languages` are codes of `core.languages.LANGUAGES`."""

    languages: frozenset[str]
    can_translate: bool
    takes_prompt: bool
    takes_temperature: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One immutable set of weights that can answer. Two names with the same `name` share replicas.

    Those of an upstream are wherever its server has them: what we may have is a file with their vocabulary.
    """

    name: str
    engine: EngineKind
    # None for the echo engine, which has no file, for the model that the sphinx package holds, and for an upstream whose
    # vocabulary we do not have. A folder for Whisper.
    path: Path | None
    sha256: str | None
    # The longest prompt plus completion, in tokens, that one slot of a replica serves.
    context_length: int
    # A key of `serving.prompting.templates.TEMPLATES`.
    template: str
    num_parameters: int | None = None
    description: str = ""
    # Where the file was pulled from, and its makers' licence; empty where it was not pulled.
    source: str = ""
    licence: str = ""
    # Engine options, by the adapter's names: num_slots, num_threads, batch_tokens.
    options: Mapping[str, int] = field(default_factory=dict)
    # Set for the engine UPSTREAM, and for no other.
    upstream: Upstream | None = None
    # The file of what sees for these weights; only with the engine LLAMA.
    projector: Path | None = None
    projector_sha256: str | None = None
    # Set for the engines that hear, and for no other.
    speech: SpeechAbilities | None = None

    @property
    def is_speech(self) -> bool:
        return self.speech is not None

    @property
    def is_tokenized_here(self) -> bool:
        """Whether prompts become token ids on our side. Otherwise the upstream gets them as they were written."""
        return self.upstream is None or (self.path is not None and self.upstream.abilities.takes_token_ids)

    @property
    def has_server_tools(self) -> bool:
        """Whether tools and forms of answers are the upstream's affair: it then gets OpenAI's own fields for them."""
        return self.upstream is not None and not self.is_tokenized_here

    @property
    def has_vision(self) -> bool:
        """Whether a chat may have pictures. The echo engine takes them, and sees nothing."""
        if self.upstream is not None:
            return self.upstream.takes_pictures
        return self.projector is not None or self.engine is EngineKind.ECHO

    @property
    def takes_n(self) -> bool:
        """Whether one round may have several sequences."""
        return self.upstream is None or self.upstream.abilities.takes_n

    @property
    def can_constrain(self) -> bool:
        """Whether the engine can hold an answer to a grammar of ours; echo, which only repeats, cannot.

        An upstream has its own way, which is asked for in OpenAI's words and only where it reads the conversation itself.
        """
        return self.engine is EngineKind.LLAMA


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
    # True where the name is kept for old programs and whatever weights the operator installed answer to it.
    is_stand_in: bool = False
    # What translates in the place of `weights`, which hear and cannot; None where nothing has to, or nothing can.
    translating_weights: Weights | None = None

    @property
    def context_length(self) -> int:
        """Tokens that prompt and completion may have together."""
        if self.weights is None:
            return 0
        return min(self.promised_context_length, self.weights.context_length)
