"""Schemas whose objects are closed before they are enforced: a narrower schema, and never an impossible one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from parley.serving.prompting.closing import close_objects

CLOSED = {"additionalProperties": False}
STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"properties": {"a": STRING}}, {"properties": {"a": STRING}} | CLOSED),
        ({"type": "object"}, {"type": "object"}),
        ({"items": {"properties": {}}}, {"items": {"properties": {}} | CLOSED}),
        ({"prefixItems": [{"properties": {}}, True]}, {"prefixItems": [{"properties": {}} | CLOSED, True]}),
        ({"anyOf": [{"properties": {}}, {"type": "null"}]}, {"anyOf": [{"properties": {}} | CLOSED, {"type": "null"}]}),
        (
            {"properties": {"a": {"properties": {"b": STRING}}}},
            {"properties": {"a": {"properties": {"b": STRING}} | CLOSED}} | CLOSED,
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}} | CLOSED}},
        ),
        # A property may be called like a keyword.
        ({"properties": {"properties": STRING}}, {"properties": {"properties": STRING}} | CLOSED),
    ],
)
def test_plain_objects_are_closed_wherever_they_stand(schema, closed):
    assert close_objects(schema) == closed


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {}, "additionalProperties": True},
        {"properties": {}, "additionalProperties": STRING},
        {"properties": {}, "patternProperties": {"^a": STRING}},
        {"properties": {"a": STRING}, "required": ["a", "b"]},
        {"allOf": [{"properties": {"a": STRING}}, {"properties": {"b": STRING}}]},
        {"properties": {"a": STRING}, "anyOf": [{"properties": {"b": STRING}}, {"properties": {"c": STRING}}]},
        {
            "allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": STRING}}],
            "$defs": {"A": {"properties": {"a": STRING}}},
        },
        {"const": {"properties": {"a": 1}}},
        {"enum": [{"properties": {}}]},
        True,
    ],
)
def test_what_is_open_on_purpose_or_a_part_of_more_stays_as_it_is(schema):
    assert close_objects(schema) == schema


NAMES = st.sampled_from(["a", "b"])
VALUES = st.recursive(
    st.integers(0, 1) | st.booleans(), lambda v: st.dictionaries(NAMES, v, max_size=2) | st.lists(v, max_size=2)
)


def schemas(depth: int = 2) -> st.SearchStrategy[dict]:
    leaf = st.sampled_from([{}, {"type": "integer"}, {"type": "boolean"}, {"type": "object"}])
    if not depth:
        return leaf
    inner = schemas(depth - 1)
    part = st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("object"),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
        },
    )
    return leaf | part


@given(schemas(), VALUES)
def test_what_fits_the_closed_schema_fits_the_schema(schema, value):
    if Draft202012Validator(close_objects(schema)).is_valid(value):
        assert Draft202012Validator(schema).is_valid(value)
