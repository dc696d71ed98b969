"""The plain types that a value may have, out of a wire type as msgspec describes it."""

from msgspec import inspect as shape


def candidates_of(expected: shape.Type) -> tuple[shape.Type, ...]:
    """The members of a union, or the type itself, without what is only there for documents."""
    if isinstance(expected, shape.Metadata):
        return candidates_of(expected.type)
    if isinstance(expected, shape.UnionType):
        return tuple([candidate for member in expected.types for candidate in candidates_of(member)])
    return (expected,)
