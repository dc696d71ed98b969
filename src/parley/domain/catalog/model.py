"""The catalog's own types and rules: what names may look like, what a price list is called, which template a model wants."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parley.core.errors import OperatorError
from parley.core.snapshot import EngineKind, Snapshot, Weights

# What a weights reference says when it means: what answers every stand-in name of its kind.
DEFAULT_REFERENCE = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
# The first mark found in a model's own template text tells its family; the order matters where marks are shared.
_FAMILY_MARKS = (
    # A model's own template writes the line break as an escape.
    (r"# Tools\n<tools>", "parley"),
    ("You may call one or more functions to assist with the user query.", "qwen"),
    # Both call in tags; Qwen 3 Coder declares in them, too.
    (r"\n<parameters>", "qwen-coder"),
    ("<function=example_function_name>", "qwen-3.5"),
    ("<|im_start|>", "chatml"),
    ("[func_name1(params_name1=", "llama-3-python"),
    ("<|start_header_id|>", "llama-3"),
    ("<start_of_turn>", "gemma"),
    ("[CALL_ID]", "mistral-v11"),
    ("[ARGS]", "mistral-v13"),
    ("[SYSTEM_PROMPT]", "mistral-v7"),
    # Before its version 7: with SentencePiece's spaces, without them, and before there were tools.
    ("[AVAILABLE_TOOLS] ", "mistral"),
    ("[AVAILABLE_TOOLS]", "mistral-tekken"),
    ("[INST]", "mistral-v1"),
    ("<|end|>", "phi-3"),
    ("<|user|>", "zephyr"),
)


class CatalogError(OperatorError):
    """The catalog, or what was to be added to it, cannot be used. The message is one line that names file and entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the catalog's files are: the one in force, the one that ships, and the two folders of weights."""

    file: Path
    shipped_file: Path
    bundled: Path
    models: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A catalog that has been read and checked: every reference in it leads somewhere."""

    default_weights: Weights
    # None where nothing is installed that hears.
    default_speech_weights: Weights | None
    weights: Mapping[str, Weights]
    snapshots: Mapping[str, Snapshot]
    # Alias -> name of a snapshot.
    aliases: Mapping[str, str]
    # One line each, for the operator.
    warnings: tuple[str, ...] = ()


def hearing_rank(weights: Weights) -> tuple[bool, bool, int]:
    """Higher for the better of two models that hear: a Whisper before what ships, all languages before one, then the larger."""
    num_languages = 0 if weights.speech is None else len(weights.speech.languages)
    return weights.engine is EngineKind.WHISPER, num_languages > 1, weights.num_parameters or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFacts:
    """What the header of a weights file says of it; None where it says nothing."""

    context_length: int
    num_parameters: int | None = None
    # The text of the model's own chat template. It is only searched, never executed.
    chat_template: str | None = None


def is_valid_name(name: str) -> bool:
    """Whether a model may be called so: nothing that could be read as a path, an option or a line of its own."""
    return _NAME.fullmatch(name) is not None


def detect_template(chat_template: str | None) -> str | None:
    """The template family that a model's own template text belongs to; plain for a model without one, None when unknown."""
    if chat_template is None:
        return "plain"
    return next((family for mark, family in _FAMILY_MARKS if mark in chat_template), None)


# A version is kept in 128 characters, and the digest is what tells it from others.
_MAX_LABEL_CHARACTERS = 119


def price_version(label: str, numbers: tuple[int | str, ...]) -> str:
    """The name of a price: the list's label and a digest of the numbers, so that an edited price has another name."""
    digest = hashlib.sha256(",".join(map(str, numbers)).encode()).hexdigest()
    return f"{label[:_MAX_LABEL_CHARACTERS]}:{digest[:8]}"
