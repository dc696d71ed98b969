"""Walks a decoded JSON value along a wire type to the first thing that is wrong with it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any

import msgspec
from msgspec import inspect as shape

from parley.api.explain import wording
from parley.api.explain.bulk import suspicious_items
from parley.api.explain.candidates import candidates_of
from parley.core.errors import InvalidRequest

# What JSON decodes to for each kind of type that wire types use.
_PYTHON_TYPES: Mapping[type[shape.Type], type | UnionType] = {
    shape.NoneType: NoneType,
    shape.BoolType: bool,
    shape.IntType: int,
    shape.FloatType: int | float,
    shape.StrType: str,
    shape.EnumType: str,
    shape.LiteralType: str,
    shape.ListType: list,
    shape.StructType: dict,
    shape.DictType: dict,
}
_KIND_NAMES: Mapping[type[shape.Type], str] = {
    shape.StrType: "a string",
    shape.EnumType: "a string",
    shape.LiteralType: "a string",
    shape.IntType: "an integer",
    shape.FloatType: "a decimal number",
    shape.BoolType: "a boolean",
    shape.StructType: "an object",
    shape.DictType: "an object",
    shape.NoneType: "null",
}


def first_fault(value: object, wire_type: type[msgspec.Struct]) -> InvalidRequest | None:
    """The first fault of a request body; None when `value` is a whole `wire_type`."""
    return next(_faults(value, shape.type_info(wire_type), ""), None)


def _faults(value: object, expected: shape.Type, path: str) -> Iterator[InvalidRequest]:
    """The faults of `value`, lazily, so that nothing is walked behind the first."""
    candidates = candidates_of(expected)
    fitting = next((candidate for candidate in candidates if _fits(value, candidate)), None)
    match fitting, value:
        case None, _:
            yield wording.wrong_type(path, _expectation(candidates), value)
        case shape.StructType(), dict():
            yield from _struct_faults(value, fitting, path)
        case shape.DictType(), dict():
            yield from _mapping_faults(value, fitting, path)
        case shape.ListType(), list():
            yield from _list_faults(value, fitting, path)
        case ((shape.LiteralType() | shape.EnumType()), str()):
            yield from _word_faults(value, fitting, path)
        case shape.StrType(), str():
            yield from _string_faults(value, fitting, path)
        case ((shape.IntType() | shape.FloatType()), (int() | float())):
            yield from _number_faults(value, fitting, path)


def _fits(value: object, expected: shape.Type) -> bool:
    """Whether the JSON kind is right, whatever the value."""
    if isinstance(expected, shape.AnyType):
        return True
    # To Python a boolean is an integer.
    is_expected_kind = isinstance(value, _PYTHON_TYPES[type(expected)])
    return is_expected_kind and isinstance(value, bool) == isinstance(expected, shape.BoolType)


def _struct_faults(value: dict[str, Any], struct: shape.StructType, path: str) -> Iterator[InvalidRequest]:
    known = {field.encode_name for field in struct.fields}
    unknown = [name for name in value if name not in known]
    if unknown:
        yield (
            wording.unknown_parameter(_below(path, wording.shown(unknown[0])))
            if path
            else wording.unknown_arguments(unknown)
        )
    for field in struct.fields:
        if field.required and field.encode_name not in value:
            yield wording.missing(_below(path, field.encode_name))
    for field in struct.fields:
        if field.encode_name in value:
            yield from _faults(value[field.encode_name], field.type, _below(path, field.encode_name))


def _mapping_faults(value: dict[str, Any], mapping: shape.DictType, path: str) -> Iterator[InvalidRequest]:
    if mapping.max_length is not None and len(value) > mapping.max_length:
        yield wording.too_many_properties(path, most=mapping.max_length, count=len(value))
    (key_type,) = candidates_of(mapping.key_type)
    most = key_type.max_length if isinstance(key_type, shape.StrType) else None
    for key, item in value.items():
        if most is not None and len(key) > most:
            yield wording.key_too_long(path, most=most, length=len(key))
        yield from _faults(item, mapping.value_type, _below(path, wording.shown(key)))


def _list_faults(value: list[Any], array: shape.ListType, path: str) -> Iterator[InvalidRequest]:
    if array.min_length is not None and len(value) < array.min_length:
        yield wording.empty_array(path)
    if array.max_length is not None and len(value) > array.max_length:
        yield wording.array_too_long(path, most=array.max_length, length=len(value))
    for index, item in suspicious_items(value, array.item_type):
        yield from _faults(item, array.item_type, f"{path}[{index}]")


def _word_faults(value: str, words: shape.LiteralType | shape.EnumType, path: str) -> Iterator[InvalidRequest]:
    if isinstance(words, shape.LiteralType):
        values = [str(word) for word in words.values]
    else:
        values = [str(member.value) for member in words.cls]
    if value not in values:
        # msgspec sorts the words of a Literal.
        yield wording.not_one_of(path, values, value)


def _string_faults(value: str, string: shape.StrType, path: str) -> Iterator[InvalidRequest]:
    if string.min_length is not None and len(value) < string.min_length:
        yield wording.string_too_short(path, least=string.min_length, length=len(value))
    if string.max_length is not None and len(value) > string.max_length:
        yield wording.string_too_long(path, most=string.max_length, length=len(value))
    if string.pattern is not None and re.search(string.pattern, value) is None:
        yield wording.no_match(path, string.pattern)


def _number_faults(value: float, bounds: shape.IntType | shape.FloatType, path: str) -> Iterator[InvalidRequest]:
    kind = "integer" if isinstance(bounds, shape.IntType) else "decimal"
    if bounds.ge is not None and value < bounds.ge:
        yield wording.number_bound(path, kind=kind, is_above=False, bound=bounds.ge, value=value)
    if bounds.gt is not None and value <= bounds.gt:
        yield wording.number_bound(path, kind=kind, is_above=False, bound=bounds.gt, value=value, is_excluded=True)
    if bounds.le is not None and value > bounds.le:
        yield wording.number_bound(path, kind=kind, is_above=True, bound=bounds.le, value=value)


def _expectation(candidates: Sequence[shape.Type]) -> str:
    """What was expected, as in "an integer" and "one of a string or array of strings"; null is never offered."""
    names = [_name(candidate) for candidate in candidates if not isinstance(candidate, shape.NoneType)]
    if len(names) == 1:
        return names[0]
    first, *others = names
    return f"one of {first} or {' or '.join(name.removeprefix('an ').removeprefix('a ') for name in others)}"


def _name(expected: shape.Type) -> str:
    if not isinstance(expected, shape.ListType):
        return _KIND_NAMES[type(expected)]
    items = candidates_of(expected.item_type)
    if len(items) > 1 or isinstance(items[0], shape.AnyType):
        return "an array"
    return f"an array of {_KIND_NAMES[type(items[0])].removeprefix('an ').removeprefix('a ')}s"


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
