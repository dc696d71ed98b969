"""What a grammar would not keep of a schema: told of, or left out, so that what is left allows no less."""

import pytest

from parley.serving.prompting.enforceable import fault_of_schema, held_part, patterns_of, without_idle_words
from parley.serving.prompting.grammar import schema_grammar
from tests.builders_tools import accepts, schema

LARGE = 2**53
OPEN = {"type": "object", "minProperties": 2}


@pytest.mark.parametrize(
    ("part", "held"),
    [
        ({"const": LARGE + 1}, {}),
        ({"const": {"a": [-LARGE]}}, {}),
        ({"type": "integer", "enum": [1, 2**60 + 1]}, {"type": "integer"}),
        ({"minimum": LARGE, "maximum": LARGE * 2}, {}),
        ({"exclusiveMinimum": -LARGE, "exclusiveMaximum": 10**30, "multipleOf": 3}, {"multipleOf": 3}),
        (OPEN, {"type": "object"}),
        (OPEN | {"required": ["a"]}, {"type": "object", "required": ["a"]}),
        (
            OPEN | {"patternProperties": {"^[xy]$": {}}, "additionalProperties": False},
            {"type": "object", "patternProperties": {"^[xy]$": {}}, "additionalProperties": False},
        ),
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        lambda part: part,
        lambda part: {"properties": {"enum": part}},
        lambda part: {"items": part},
        lambda part: {"prefixItems": [True, part]},
        lambda part: {"anyOf": [{"type": "null"}, {"additionalProperties": part}]},
        lambda part: {"$ref": "#/components/schemas/a", "components": {"schemas": {"a": part}}},
        lambda part: {"$ref": "#/$defs/a", "$defs": {"a": {"patternProperties": {"b": part}}}},
    ],
)
def test_what_no_grammar_keeps_is_found_wherever_it_stands_and_left_out_alone(part, held, around):
    assert "cannot be enforced" in (fault_of_schema(around(part)) or "")
    assert held_part(around(part)) == around(held)
    assert fault_of_schema(around(held)) is None


@pytest.mark.parametrize(
    "kept",
    [
        {"const": LARGE - 1, "maximum": 1e300, "default": 2**60, "examples": [2**60]},
        {"enum": [True, None, "9007199254740993", 0.1]},
        {"properties": {"minimum": {"type": "integer"}, "const": {"default": LARGE + 1}}},
        OPEN | {"minProperties": 1},
        OPEN | {"required": ["a", "b"]},
        OPEN | {"additionalProperties": False},
        OPEN | {"type": "string"},
        True,
    ],
)
def test_what_a_grammar_keeps_has_no_fault_and_stays(kept):
    assert fault_of_schema(kept) is None
    assert held_part(kept) == kept


def test_patterns_are_left_out_by_name_and_names_are_open_then():
    whole = {
        "properties": {"a": {"pattern": "x"}, "b": {"pattern": "y"}, "pattern": {"pattern": {}}},
        "patternProperties": {"z": {"pattern": "x"}},
        "additionalProperties": False,
    }
    assert sorted(patterns_of(whole)) == ["x", "y", "z"]
    properties = {"a": {}, "b": {"pattern": "y"}, "pattern": {"pattern": {}}}
    assert held_part(whole, {"x"}) == whole | {"properties": properties, "patternProperties": {"z": {}}}
    assert held_part(whole, {"z"}) == {"properties": whole["properties"], "additionalProperties": True}


def test_a_name_that_is_written_twice_would_count_as_two():
    """Why `minProperties` is not left to the grammar alone."""
    assert accepts(schema_grammar(schema(OPEN)), '{"x":1,"x":1}')
    one = {"properties": {"a": {}}, "required": ["a"], "additionalProperties": True}
    assert accepts(schema_grammar(schema(OPEN | one)), '{"a":1,"\\u0061":1}')
    kept = OPEN | one | {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]}
    assert fault_of_schema(kept) is None
    for other in ('{"a":1}', '{"a":1,"a":1}', '{"a":1,"\\u0061":1}', '{"x":1,"x":1}'):
        assert not accepts(schema_grammar(schema(kept)), other), other


def test_an_integer_that_is_accepted_is_held_to_the_digit():
    for key, bound, inside in (
        ("minimum", LARGE - 1, 0),
        ("exclusiveMinimum", LARGE - 1, 1),
        ("maximum", 1 - LARGE, 0),
    ):
        answer = schema_grammar(schema({"type": "integer", key: bound}))
        assert accepts(answer, str(bound + inside))
        assert not accepts(answer, str(bound + inside + (1 if key == "maximum" else -1)))
    assert not accepts(schema_grammar(schema({"const": LARGE - 1})), str(LARGE))


def test_words_that_say_nothing_are_no_obstacle():
    listed = {"type": "array", "uniqueItems": False, "items": {"uniqueItems": False, "enum": [1]}}
    assert accepts(schema_grammar(schema(listed)), "[1,1]")
    assert without_idle_words({"uniqueItems": True}) == {"uniqueItems": True}
    named = {"properties": {"uniqueItems": False}, "const": {"uniqueItems": False}}
    assert without_idle_words(named) == named
