"""The sentences that name what is wrong with a JSON body, in the shapes that clients match on."""

from collections.abc import Sequence

from parley.core.errors import InvalidRequest

NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out "
    "how to fix this, the page at / of this server has a request to start from.)"
)
_MOST_SHOWN = 64
_MOST_NAMES = 20


def not_json() -> InvalidRequest:
    """The body is no JSON at all."""
    return InvalidRequest(NOT_JSON)


def too_deep(limit: int) -> InvalidRequest:
    """Arrays and objects stand in one another more often than anything that we read."""
    return InvalidRequest(
        f"Invalid body: nested too deeply. Expected at most {limit} levels of arrays and objects.",
        code="invalid_value",
    )


def too_many_values(*, num_containers: int, num_strings: int) -> InvalidRequest:
    """More arrays, objects or strings than any request is written with."""
    return InvalidRequest(
        f"Invalid body: too many values. Expected at most {num_containers} arrays and objects, and {num_strings} strings.",
        code="invalid_value",
    )


def number_out_of_range() -> InvalidRequest:
    """Valid JSON, but with a number that no computer's number can hold."""
    return InvalidRequest(
        "Invalid body: a number in it is out of range. Expected numbers that a 64-bit integer or decimal can hold.",
        code="invalid_value",
    )


def unsupported_content_type(media_type: str, header: str, *, accepted: str = "application/json") -> InvalidRequest:
    """The body is said to be something else than what is accepted."""
    return InvalidRequest(
        f"Unsupported content type: '{shown(media_type)}'. This API method only accepts '{accepted}' requests, "
        f"but you specified the header 'Content-Type: {shown(header)}'. Please try again with a supported content type.",
        code="unsupported_content_type",
    )


def no_content_type() -> InvalidRequest:
    """The body is not said to be what it must be said to be."""
    return InvalidRequest(
        "This API method only accepts 'application/json' requests. Please try again with the header "
        "'Content-Type: application/json'.",
        code="unsupported_content_type",
    )


def missing(path: str) -> InvalidRequest:
    """A required field is not there."""
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def wrong_type(path: str, expected: str, value: object) -> InvalidRequest:
    """`expected` reads like "an integer" or "one of a string or array of strings"; an empty path is the body itself."""
    where = f"'{path}'" if path else "the request body"
    return InvalidRequest(
        f"Invalid type for {where}: expected {expected}, but got {kind_of(value)} instead.",
        param=path or None,
        code="invalid_type",
    )


def number_bound(
    path: str, *, kind: str, is_above: bool, bound: float, value: float, is_excluded: bool = False
) -> InvalidRequest:
    """A number beyond its bound, or at one that is itself excluded; `kind` is "integer" or "decimal"."""
    side, extreme, sign = ("above", "maximum", "<") if is_above else ("below", "minimum", ">")
    sign = sign if is_excluded else f"{sign}="
    return InvalidRequest(
        f"Invalid '{path}': {kind} {side} {extreme} value. Expected a value {sign} {number(bound)}, "
        f"but got {number(value)} instead.",
        param=path,
        code=f"{kind}_{side}_{'max' if is_above else 'min'}_value",
    )


def array_too_long(path: str, *, most: int, length: int) -> InvalidRequest:
    """More items than the cap."""
    return InvalidRequest(
        f"Invalid '{path}': array too long. Expected an array with maximum length {most}, "
        f"but got an array with length {length} instead.",
        param=path,
        code="array_above_max_length",
    )


def empty_array(path: str) -> InvalidRequest:
    """No item where there must be one."""
    return InvalidRequest(
        f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        param=path,
        code="empty_array",
    )


def string_too_short(path: str, *, least: int, length: int) -> InvalidRequest:
    """Fewer characters than there must be."""
    return InvalidRequest(
        f"Invalid '{path}': string too short. Expected a string with minimum length {least}, "
        f"but got {'an empty string' if not length else f'a string with length {length}'} instead.",
        param=path,
        code="string_below_min_length",
    )


def string_too_long(path: str, *, most: int, length: int) -> InvalidRequest:
    """More characters than the cap."""
    return InvalidRequest(
        f"Invalid '{path}': string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {length} instead.",
        param=path,
        code="string_above_max_length",
    )


def key_too_long(path: str, *, most: int, length: int) -> InvalidRequest:
    """A key of an object that the client names has more characters than the cap."""
    return InvalidRequest(
        f"Invalid property name in '{path}': too long. Expected a name with maximum length {most}, "
        f"but got a name with length {length} instead.",
        param=path,
        code="string_above_max_length",
    )


def too_many_properties(path: str, *, most: int, count: int) -> InvalidRequest:
    """More keys than the cap."""
    return InvalidRequest(
        f"Invalid '{path}': too many properties. Expected an object with at most {most} properties, "
        f"but got an object with {count} properties instead.",
        param=path,
        code="object_above_max_properties",
    )


def unknown_arguments(names: Sequence[str]) -> InvalidRequest:
    """Top-level fields that the endpoint does not have, in the order in which they came."""
    plural = "s" if len(names) > 1 else ""
    listed = ", ".join(shown(name) for name in names[:_MOST_NAMES])
    return InvalidRequest(f"Unrecognized request argument{plural} supplied: {listed}")


def unknown_parameter(path: str) -> InvalidRequest:
    """A field inside an object that the object does not have."""
    return InvalidRequest(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")


def not_one_of(path: str, values: Sequence[str], value: str) -> InvalidRequest:
    """A word that is not among those that count."""
    quoted = [f"'{name}'" for name in values]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}{',' * (len(quoted) > 2)} and {quoted[-1]}"
    return InvalidRequest(
        f"Invalid value: '{shown(value)}'. Supported values are: {listed}.", param=path, code="invalid_value"
    )


def no_match(path: str, pattern: str) -> InvalidRequest:
    """A string that is not written as it must be."""
    return InvalidRequest(
        f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.",
        param=path,
        code="invalid_value",
    )


def kind_of(value: object) -> str:
    """What a decoded JSON value is called in a sentence."""
    # `bool` first: it is an `int` to Python.
    for kind, name in (
        (bool, "a boolean"),
        (str, "a string"),
        (int, "an integer"),
        (float, "a decimal number"),
        (list, "an array"),
        (dict, "an object"),
    ):
        if isinstance(value, kind):
            return name
    return "null"


def number(value: int | float) -> str:
    """A number as a sentence shows it: 2 rather than 2.0, and never a thousand digits."""
    if isinstance(value, float):
        return f"{value:g}" if value.is_integer() and abs(value) < 1e6 else repr(value)
    if value.bit_length() <= 128:
        return str(value)
    # Turning it into digits would be slow, and past 4,300 digits an error.
    return "a much larger integer" if value > 0 else "a much smaller integer"


def shown(text: str) -> str:
    """A client's own text as a sentence shows it: its beginning."""
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
