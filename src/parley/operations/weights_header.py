"""What a GGUF file's header says of the model in it; the reader is our own, so no runtime sees an unknown file."""

from pathlib import Path

from parley.core.gguf import InvalidModelFile, read_header
from parley.core.projector import projector_kind
from parley.domain.catalog.model import CatalogError, WeightsFacts

_CHAT_TEMPLATE = "tokenizer.chat_template"


def read_weights(path: Path) -> WeightsFacts:
    """The facts of a GGUF file that the catalog keeps. Raises CatalogError for what cannot be served."""
    try:
        header = read_header(path)
    except InvalidModelFile as error:
        raise CatalogError(f"{path}: {error}") from None
    if header.context_length is None or header.num_tokens == 0:
        raise CatalogError(f"{path}: its header names no context length or no vocabulary, so it is no text model")
    chat_template = header.fields.get(_CHAT_TEMPLATE)
    return WeightsFacts(
        context_length=header.context_length,
        num_parameters=header.num_parameters,
        chat_template=chat_template if isinstance(chat_template, str) else None,
    )


def check_projector(path: Path) -> None:
    """Raise CatalogError for a file that is no projector, or one whose pictures cannot be read here."""
    try:
        projector_kind(read_header(path))
    except InvalidModelFile as error:
        raise CatalogError(f"{path}: {error}") from None
