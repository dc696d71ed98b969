"""What Schemathesis does here beside its own checks: that a key is asked for, that what is declared is taken, that errors look alike."""

import os
import re
import zlib

import requests
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

# Names that the running server knows; a name made up is refused before anything else of the request is looked at.
_MODELS = ("parley-echo", "gpt-3.5-turbo", "text-davinci-003", "text-davinci-edit-001")
# Refusals that say: this is not what the document describes.
_OF_SHAPE = (
    "unknown_parameter",
    "invalid_type",
    "integer_above_max_value",
    "integer_below_min_value",
    "decimal_above_max_value",
    "decimal_below_min_value",
    "string_above_max_length",
    "string_below_min_length",
    "array_above_max_length",
    "array_below_min_length",
)
# Bounds that depend on another field, which the document says in words: `echo`, `response_format.type`, `bucket_width`,
# a message's role.
_BETWEEN_FIELDS = ("max_tokens", "response_format.json_schema", "limit", "messages[")


# Too long for what a case makes up to look like it, and is then told in its refusal.
_INSIDES = re.compile(
    r"0x[0-9a-f]{8,}|/src/parley|parley/\w+/|\w\.py\b|Traceback \(most|site-packages|sqlite3?\.|sqlalchemy|SELECT \w+"
)

# Two members of the organization, one of whom may be removed; the run is told of them by its environment.
_STAYING, _LEAVING = os.environ["PARLEY_FUZZ_MEMBERS"].split(",")


@schemathesis.hook
def map_case(_context: HookContext, case: Case) -> Case:
    """Of what fits the document, lead most past its first hurdle: a model that there is, a message that makes sense, a person
    that exists. What is to be refused stays as it is.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    number = zlib.crc32(repr((case.body, case.path_parameters)).encode(errors="replace"))
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("model"), str) and number % 4:
        body["model"] = _MODELS[number // 4 % len(_MODELS)]
        if "messages" in body and number % 3:
            body["messages"] = [{"role": "user", "content": "Say this is a test"}]
    if "rate_limit_id" in case.path_parameters and number % 2:
        case.path_parameters["rate_limit_id"] = "rl-gpt-4"
    if "user_id" in case.path_parameters and number % 2:
        case.path_parameters["user_id"] = _LEAVING if case.method == "DELETE" else _STAYING
    return case


@schemathesis.check
def takes_what_it_declares(_context: CheckContext, response: Response, case: Case) -> None:
    """What the document allows is never refused for its type, its name or its bounds."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    error = response.json()["error"]
    # For JSON Schema 15.0 is an integer; for OpenAI's API and ours it is none.
    is_decimal = error["code"] == "invalid_type" and "decimal number" in error["message"]
    if error["code"] in _OF_SHAPE and not error["param"].startswith(_BETWEEN_FIELDS) and not is_decimal:
        raise AssertionError(f"declared, yet refused: {error['message']}")


@schemathesis.check
def answers_errors_in_one_shape(_context: CheckContext, response: Response, _case: Case) -> None:
    """Every refusal and failure has OpenAI's four keys and an id to ask for, whatever route it came from; but for the HTTP
    server's own, of heads that it does not hand on (docs/security.md)."""
    is_its_own = response.status_code in (414, 431) and not response.content
    if response.status_code >= 400 and not is_its_own:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert response.headers["x-request-id"]


@schemathesis.check
def k3_errors_tell_nothing_of_our_insides(_context: CheckContext, response: Response, _case: Case) -> None:
    """Row K3: no address in memory, no path, no module, no statement and no traceback leaves with an error, whatever was sent."""
    if response.status_code >= 400:
        found = _INSIDES.search(response.text)
        assert found is None, f"the reply tells of {found.group()!r}" if found else ""


@schemathesis.check
def serves_nobody_without_a_key(_context: CheckContext, response: Response, case: Case) -> None:
    """What was answered with a key is refused without one, and with a wrong one, wherever the document asks for a key."""
    if response.status_code != 200 or case.operation.definition.raw.get("security") == []:
        return
    sent = response.request
    for key, refusals in ((None, {401}), ("Bearer sk-wrong-key-of-the-fuzzer-0123456789", {401, 429})):
        headers = {name: value for name, value in sent.headers.items() if name.lower() != "authorization"}
        headers |= {} if key is None else {"Authorization": key}
        reply = requests.request(str(sent.method), str(sent.url), headers=headers, data=sent.body, timeout=30)
        assert reply.status_code in refusals, f"{reply.status_code} with the key {key!r}"
        assert set(reply.json()) == {"error"}
