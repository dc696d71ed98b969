"""Objects that declare their properties have no others, unless the schema says so: what fits the closed schema fits the open one.

JSON Schema leaves objects open. Whoever lists properties does not mean that, and a model that may invent further ones
goes on inventing them until its answer is cut.
"""

from collections.abc import Mapping

# Keywords by which a schema may declare properties in other places too.
_ELSEWHERE = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "patternProperties"})
_SAID = frozenset({"additionalProperties", "unevaluatedProperties"})
_ONE, _MANY, _BY_NAME = ("items", "additionalProperties"), ("prefixItems",), ("properties",)
_UNIONS, _DEFINITIONS = ("anyOf", "oneOf"), ("$defs", "definitions")


def close_objects(schema: object) -> object:
    """The same schema with its plain objects closed; parts that are joined with others stay as they are."""
    return _closed(schema, are_definitions_whole=not _joins(schema))


def _closed(schema: object, *, are_definitions_whole: bool) -> object:
    if not isinstance(schema, dict):
        return schema
    closed: dict[str, object] = dict(schema)

    def close(part: object) -> object:
        return _closed(part, are_definitions_whole=are_definitions_whole)

    is_union = schema.keys().isdisjoint({"properties", "allOf", "$ref"})
    for key in _ONE:
        if key in closed:
            closed[key] = close(closed[key])
    for key in (*_MANY, *(_UNIONS if is_union else ())):
        if isinstance(parts := closed.get(key), list):
            closed[key] = [close(part) for part in parts]
    for key in (*_BY_NAME, *(_DEFINITIONS if are_definitions_whole else ())):
        if isinstance(named := closed.get(key), dict):
            closed[key] = {name: close(part) for name, part in named.items()}
    if _is_plain_object(schema):
        closed["additionalProperties"] = False
    return closed


def _is_plain_object(schema: Mapping[str, object]) -> bool:
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    return schema.keys().isdisjoint(_ELSEWHERE | _SAID) and set(map(str, required)) <= properties.keys()


def _joins(schema: object) -> bool:
    """Whether any part is joined with another, so that a definition may be half of an object."""
    if isinstance(schema, list):
        return any(_joins(part) for part in schema)
    if not isinstance(schema, dict):
        return False
    is_joined = "allOf" in schema or ("$ref" in schema and "properties" in schema)
    return is_joined or any(_joins(part) for part in schema.values())
