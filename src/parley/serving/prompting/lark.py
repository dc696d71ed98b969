"""Pieces of llguidance's grammars: literals over a vocabulary, and JSON of a schema."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType

from parley.core.tokenizer import Vocabulary
from parley.serving.prompting.closing import close_objects
from parley.serving.prompting.enforceable import without_idle_words

# JSON without a needless space, and JSON as the families' models write calls.
COMPACT: Mapping[str, object] = MappingProxyType({"whitespace_flexible": False})
SPACED: Mapping[str, object] = MappingProxyType({**COMPACT, "item_separator": ", ", "key_separator": ": "})


def json_of(schema: Mapping[str, object], guidance: Mapping[str, object]) -> str:
    """JSON that the schema allows, with its plain objects closed."""
    guided = close_objects({**schema, "x-guidance": dict(guidance)})
    return f"%json {json.dumps(without_idle_words(guided), ensure_ascii=False)}"


def literal(text: str, vocabulary: Vocabulary) -> str:
    """A text of ours: hidden special tokens by their ids, the rest letter by letter."""
    hidden = [each for each in vocabulary.special_tokens if each in text and is_hidden(each, vocabulary)]
    parts = re.split("(" + "|".join(map(re.escape, hidden)) + ")", text) if hidden else [text]
    return " ".join(
        f"<[{vocabulary.special_tokens[part]}]>" if part in hidden else json.dumps(part) for part in parts if part
    )


def is_hidden(text: str, vocabulary: Vocabulary) -> bool:
    """Whether this is a token that an engine writes nothing of, unless it is asked to."""
    return text in vocabulary.special_tokens and text not in vocabulary.written_specials
