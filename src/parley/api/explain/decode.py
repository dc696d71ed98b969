"""JSON request bodies: one strict pass for those that are right, and a slower one that says what is wrong with the others."""

import asyncio
from collections.abc import Collection
from typing import Generic, TypeVar

import msgspec
from starlette.requests import Request

from parley.api.explain import wording
from parley.api.explain.volume import MAX_CONTAINERS, MAX_STRINGS, has_too_many_values
from parley.api.explain.walk import first_fault

T = TypeVar("T", bound=msgspec.Struct)

# Nothing that we read comes near it: the deepest is a JSON schema, which may have half of it.
MAX_DEPTH = 64
# What is wrong with a longer body is looked for in a thread, so that the loop is not held up.
_MOST_BYTES_ON_LOOP = 64 * 1024
_CONTAINERS = frozenset({dict, list})


class JsonBody(Generic[T]):
    """The JSON body of one endpoint: a strict struct and the decoder made for it.

    `must_say_type`: the request has to say that it is JSON, which another site's page cannot without asking us first.
    """

    def __init__(self, wire_type: type[T], *, must_say_type: bool = False) -> None:
        self.wire_type = wire_type
        self._must_say_type = must_say_type
        self._decoder = msgspec.json.Decoder(wire_type)

    async def read(self, http: Request) -> T:
        """The body of `http`, checked. Raises InvalidRequest that names the first fault."""
        header = http.headers.get("content-type")
        if header is None and self._must_say_type:
            raise wording.no_content_type()
        _check_content_type(header)
        body = await http.body()
        decoded = self._decode_fast(body)
        if decoded is not None:
            return decoded
        if len(body) > _MOST_BYTES_ON_LOOP:
            return await asyncio.to_thread(self._decode_slowly, body)
        return self._decode_slowly(body)

    def decode(self, body: bytes) -> T:
        """Bytes, checked. Whatever they are, nothing but InvalidRequest is raised. Of equal keys the last one counts."""
        decoded = self._decode_fast(body)
        return self._decode_slowly(body) if decoded is None else decoded

    def _decode_fast(self, body: bytes) -> T | None:
        """The strict pass; None where it refuses. Raises InvalidRequest for a body that nobody should decode."""
        if has_too_many_values(body):
            raise wording.too_many_values(num_containers=MAX_CONTAINERS, num_strings=MAX_STRINGS)
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _decode_slowly(self, body: bytes) -> T:
        """The second look at a body that the strict pass refused: for its first fault, in our own words.

        It may also turn out to be right: the strict pass refuses a wrong value that a later equal key replaces.
        """
        value = _decode_untyped(body)
        fault = first_fault(value, self.wire_type)
        if fault is not None:
            raise fault
        try:
            return msgspec.convert(value, self.wire_type)
        except msgspec.ValidationError:
            # A bound that the walk does not know. A test keeps the two together.
            raise wording.not_json() from None


def _check_content_type(header: str | None) -> None:
    """Refuse a body that is said not to be JSON; one of which nothing is said is taken for JSON.

    Parameters are ignored: `application/json; charset=utf-8` is what many clients send.
    """
    if header is None:
        return
    media_type = header.partition(";")[0].strip()
    if media_type.lower() != "application/json":
        raise wording.unsupported_content_type(media_type, header)


def _decode_untyped(body: bytes) -> object:
    try:
        value = msgspec.json.decode(body)
    except msgspec.ValidationError:
        # Without a type to validate against, all that is left is a number beyond every range.
        raise wording.number_out_of_range() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise wording.not_json() from None
    except RecursionError:
        raise wording.too_deep(MAX_DEPTH) from None
    _check_depth(value)
    return value


def _check_depth(value: object) -> None:
    """Refuse more than MAX_DEPTH levels. Level by level rather than by recursion, which would end in the same error."""
    containers = _containers([value])
    for _ in range(MAX_DEPTH):
        if not containers:
            return
        containers = [inner for outer in containers for inner in _containers(outer)]
    if containers:
        raise wording.too_deep(MAX_DEPTH)


def _containers(value: object) -> list[object]:
    """The arrays and objects that stand directly in an array or an object."""
    items: Collection[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    # At the speed of C, since most long arrays are of numbers.
    if _CONTAINERS.isdisjoint(map(type, items)):
        return []
    return [item for item in items if type(item) in _CONTAINERS]
