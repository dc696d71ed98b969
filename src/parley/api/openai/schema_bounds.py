"""The bounds of a client's JSON schema, checked before anything reads its meaning."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from parley.api.openai.pattern_size import written_out_size
from parley.core.errors import InvalidRequest

MAX_BYTES = 64 * 1024
# Of all schemas in a request.
MAX_BYTES_TOGETHER = 256 * 1024
MAX_DEPTH = 32
MAX_PROPERTIES = 5_000
MAX_ENUM_VALUES = 1_000
# Characters with every repeat written out.
MAX_PATTERN_SIZE = 10_000
# llama.cpp's llguidance took ten seconds over a million items, in which nobody else was served, and then let anything pass.
_MAX_COUNTS = {
    "minItems": 10_000,
    "maxItems": 10_000,
    "minProperties": 10_000,
    "maxProperties": 10_000,
    "minLength": 100_000,
    "maxLength": 100_000,
}


def check_bounds(schema: dict[str, Any], subject: str, param: str) -> str:
    """The schema as JSON text. Raises InvalidRequest for one that is larger than any that we try to enforce."""
    text = msgspec.json.encode(schema)
    fault = _fault(schema, len(text))
    if fault is not None:
        raise InvalidRequest(f"Invalid schema for {subject}: {fault}.", param=param, code="invalid_value")
    return text.decode()


def _fault(schema: dict[str, Any], num_bytes: int) -> str | None:
    if num_bytes > MAX_BYTES:
        return f"it has {num_bytes} bytes, and at most {MAX_BYTES} are supported"
    level: list[object] = [schema]
    parts: list[object] = []
    for _ in range(MAX_DEPTH):
        parts += level
        level = [value for outer in level for value in _inner(outer)]
    return f"it is nested more than {MAX_DEPTH} levels deep" if level else _fault_of_parts(parts)


def _fault_of_parts(parts: Sequence[object]) -> str | None:
    """`parts` are all arrays and objects of a schema."""
    # It is not of JSON schema: it would give orders to the engine.
    if any("x-guidance" in part for part in parts if isinstance(part, dict)):
        return "'x-guidance' is not supported"
    counts = (
        ("properties", MAX_PROPERTIES, sum(_length(part, "properties", dict) for part in parts)),
        ("enum values", MAX_ENUM_VALUES, sum(_length(part, "enum", list) for part in parts)),
        ("characters in a pattern with its repeats written out", MAX_PATTERN_SIZE, max(map(_pattern_size, parts))),
    )
    for what, most, count in counts:
        if count > most:
            return f"it has {count} {what}, and at most {most} are supported"
    return next((fault for part in parts for fault in _faults_of_bounds(part)), None)


def _faults_of_bounds(part: object) -> Iterator[str]:
    for key, most in _MAX_COUNTS.items():
        value = part.get(key) if isinstance(part, dict) else None
        if isinstance(value, int | float) and value > most:
            yield f"'{key}' is larger than {most}"


def _pattern_size(part: object) -> int:
    """Of its pattern, and of those that its properties' names are to fit."""
    if not isinstance(part, dict):
        return 0
    named = part.get("patternProperties")
    patterns = [part.get("pattern"), *(named if isinstance(named, dict) else ())]
    return max(_size(pattern) if isinstance(pattern, str) else 0 for pattern in patterns)


def _size(pattern: str) -> int:
    # A longer one is too large however it is read.
    return written_out_size(pattern) if len(pattern) <= MAX_PATTERN_SIZE else len(pattern)


def _length(value: object, key: str, kind: type[dict[str, Any]] | type[list[Any]]) -> int:
    found = value.get(key) if isinstance(value, dict) else None
    return len(found) if isinstance(found, kind) else 0


def _inner(value: object) -> Iterator[object]:
    """The arrays and objects that stand directly in one."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (each for each in values if isinstance(each, dict | list))
