"""What a schema says and llguidance takes without a word, but does not hold answers to: told of here, or left out."""

from collections.abc import Callable, Iterator, Mapping, Set

# Under these stand schemas by names of their own, and under those none. Everywhere else one may stand: a "$ref" may lead
# to any place.
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_NO_SCHEMAS = frozenset({"enum", "const", "default", "examples"})
_VALUES = ("enum", "const")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
# Numbers are read as floats, which skip integers beyond this.
_MOST_EXACT = 2**53 - 1
Schema = Mapping[str, object]


def fault_of_schema(schema: object) -> str | None:
    """What of a schema, with its objects closed, no grammar keeps; None where there is no such thing."""
    faults = (fault for part in _parts(schema) for _, fault in _unkept(part))
    return next(faults, None)


def held_part(schema: object, refused_patterns: Set[str] = frozenset()) -> object:
    """The schema, its objects closed, without what no grammar keeps and without these patterns: it allows what the whole
    one allows, and more."""

    def loosened(part: dict[str, object]) -> dict[str, object]:
        left_out = {key for key, _ in _unkept(part)}
        if not refused_patterns.isdisjoint(_own_pattern(part)):
            left_out.add("pattern")
        held = {key: value for key, value in part.items() if key not in left_out}
        if not refused_patterns.isdisjoint(_named_patterns(part)):
            del held["patternProperties"]
            # Nobody can say any more which names are further ones.
            held["additionalProperties"] = True
        return held

    return _rewritten(schema, loosened)


def patterns_of(schema: object) -> list[str]:
    """The different patterns of texts and of names."""
    patterns: dict[str, None] = {}
    for part in _parts(schema):
        patterns |= dict.fromkeys([*_own_pattern(part), *_named_patterns(part)])
    return list(patterns)


def without_idle_words(schema: object) -> object:
    """The schema without keywords that say nothing as they stand, which llguidance refuses all the same."""

    def cleared(part: dict[str, object]) -> dict[str, object]:
        return {key: value for key, value in part.items() if not (key == "uniqueItems" and value is False)}

    return _rewritten(schema, cleared)


def _unkept(part: Schema) -> Iterator[tuple[str, str]]:
    """Keywords of one schema, without those inside it, that are not kept; and a line about each."""
    for key in (*_VALUES, *_BOUNDS):
        if key in part and _has_inexact(part[key]):
            yield key, f"an integer beyond 2**53 - 1 in '{key}' cannot be enforced"
    least, required, kinds = part.get("minProperties"), part.get("required"), part.get("type", "object")
    is_object = "object" in kinds if isinstance(kinds, str | list) else True
    is_open = part.get("additionalProperties") is not False or bool(_named_patterns(part))
    # Required names are written once each; a further one may be one of them, written with an escape.
    num_distinct = max(1, len(set(map(str, required))) if isinstance(required, list) else 0)
    if is_object and is_open and isinstance(least, int | float) and least > num_distinct:
        yield (
            "minProperties",
            f"'minProperties' above {num_distinct} cannot be enforced where names are open, since one could be written twice",
        )


def _has_inexact(value: object) -> bool:
    match value:
        case int():
            return abs(value) > _MOST_EXACT
        case list():
            return any(map(_has_inexact, value))
        case dict():
            return any(map(_has_inexact, value.values()))
        case _:
            return False


def _own_pattern(part: Schema) -> list[str]:
    pattern = part.get("pattern")
    return [pattern] if isinstance(pattern, str) else []


def _named_patterns(part: Schema) -> list[str]:
    named = part.get("patternProperties")
    return list(named) if isinstance(named, dict) else []


def _parts(schema: object) -> Iterator[Schema]:
    """The schema and all schemas in it."""
    parts: list[Schema] = []

    def seen(part: dict[str, object]) -> dict[str, object]:
        parts.append(part)
        return part

    _rewritten(schema, seen)
    return reversed(parts)


def _rewritten(schema: object, change: Callable[[dict[str, object]], dict[str, object]]) -> object:
    """The schema with each schema in it changed, the inner ones first; of a list, each."""
    if isinstance(schema, list):
        return [_rewritten(part, change) for part in schema]
    if not isinstance(schema, dict):
        return schema
    whole: dict[str, object] = {}
    for key, value in schema.items():
        if key in _BY_NAME and isinstance(value, dict):
            whole[key] = {name: _rewritten(part, change) for name, part in value.items()}
        else:
            whole[key] = value if key in _NO_SCHEMAS else _rewritten(value, change)
    return change(whole)
