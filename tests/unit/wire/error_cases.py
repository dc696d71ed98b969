"""One way into each row of the error contract that can be met today, through the code that really raises it."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from parley.api.auth import Gatekeeper
from parley.api.bad_keys import BadKeys
from parley.api.call import Access
from parley.api.openai import chat, completions
from parley.api.routing import Route, RouteTable
from parley.core.clock import FakeClock
from parley.core.errors import EngineFailed, ModelNotFound, Overloaded, RateLimited, RequestTooLarge
from parley.core.grant import PreparedPrompt
from parley.core.principal import Principal, Scope
from parley.serving.admission.access import authorize
from parley.serving.admission.context import resolve_max_tokens
from tests.builders_wire import make_principal, make_snapshot

_MESSAGES = [{"role": "user", "content": "Hello"}]
_READ_ONLY = Principal(organization_id="org_a", project_id="proj_a", key_id="key_a", scopes=frozenset({Scope.READ}))


class _OneKey:
    """A key ring with one key, which may only read."""

    def authenticate(self, secret: str) -> Principal | None:
        return _READ_ONLY if secret == "sk-right00000000000000" else None

    def recognise(self, token: str) -> None:
        """Nobody is logged in."""

    def csrf_token(self, session_token: str) -> str:
        return ""


def _admit(**headers: str) -> Principal:
    keeper = Gatekeeper(keys=_OneKey(), bad_keys=BadKeys(FakeClock()))
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": raw, "client": ("127.0.0.1", 1)}
    route = Route(
        method="POST", path="/v1/completions", handler=completions.create_completion, access=Access.MODEL_REQUEST
    )
    return keeper.admit(Request(scope), route)


def _find(method: str, path: str) -> object:
    table = RouteTable(
        [
            Route(
                method="POST",
                path="/v1/completions",
                handler=completions.create_completion,
                access=Access.MODEL_REQUEST,
            )
        ]
    )
    return table.find(method, path)


def chat_body(**fields: Any) -> bytes:
    """A chat body that is right but for `fields`; a field that is None is left out."""
    body = {"model": "gpt-3.5-turbo", "messages": _MESSAGES} | fields
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _chat(**fields: Any) -> object:
    return chat.to_core(chat.BODY.decode(chat_body(**fields)))


def _completion(**fields: Any) -> object:
    body = msgspec.json.encode({"model": "davinci", "prompt": "Say this"} | fields)
    return completions.to_core(completions.BODY.decode(body), "davinci")


def _too_long(request: Any, num_prompt: int) -> object:
    prompt = PreparedPrompt(token_ids=(1,) * num_prompt)
    return resolve_max_tokens(request, 0, prompt, make_snapshot(promised_context_length=8))


def _raise(error: Exception) -> object:
    raise error


async def _read(content_type: str) -> object:
    return await chat.BODY.read(Request({"type": "http", "headers": [(b"content-type", content_type.encode())]}))


def _wrong_content_type() -> object:
    reading = _read("multipart/form-data; boundary=x")
    return reading.send(None)


CASES: Mapping[str, Callable[[], object]] = {
    "01_no_key": _admit,
    "02_wrong_key": lambda: _admit(authorization="Bearer sk-v3s3w-not-a-key-of-ours-bfcr"),
    "04_wrong_organization_header": lambda: _admit(
        authorization="Bearer sk-right00000000000000", openai_organization="org_b"
    ),
    "05_key_lacks_a_scope": lambda: _admit(authorization="Bearer sk-right00000000000000"),
    "06_project_may_not_use_the_model": lambda: authorize(
        make_principal(allowed_models=frozenset({"ada"})), _chat(model="gpt-4"), make_snapshot("gpt-4-0314")
    ),
    "07_unknown_model": lambda: _raise(ModelNotFound("x")),
    "08_unknown_path": lambda: _find("POST", "/v1/foo"),
    "09_wrong_method": lambda: _find("GET", "/v1/completions"),
    "10_body_is_not_json": lambda: chat.BODY.decode(b'{"model": "gpt-3.5-turbo",}'),
    "11_wrong_content_type": _wrong_content_type,
    "12_missing_field": lambda: _chat(messages=[{"content": "Hello"}]),
    "13_wrong_type": lambda: _chat(max_tokens=1.5),
    "13_wrong_type_of_several": lambda: _chat(stop=5),
    "14_integer_too_large": lambda: _chat(n=130),
    "14_integer_too_small": lambda: _chat(n=0),
    "14_decimal_too_large": lambda: _chat(temperature=2.5),
    "14_decimal_too_small": lambda: _chat(temperature=-1),
    "15_array_too_long": lambda: _chat(stop=["a", "b", "c", "d", "e"]),
    "15_array_empty": lambda: _chat(messages=[]),
    "16_string_too_long": lambda: _chat(safety_identifier="x" * 129),
    "17_unknown_field": lambda: _chat(top_k=3),
    "17_unknown_fields": lambda: _chat(top_k=3, repetition_penalty=1.1),
    "17_unknown_nested_field": lambda: _chat(messages=[{"role": "user", "content": "Hello", "weight": 1}]),
    "18_unsupported_field": lambda: _chat(prediction={"type": "content", "content": "x"}),
    "18_unsupported_tools": lambda: _chat(tools=[{"type": "custom", "custom": {"name": "f"}}]),
    "18_unsupported_part": lambda: _chat(
        messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]
    ),
    "25_image_by_address": lambda: _chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com"}}]}]
    ),
    "25_image_without_base64": lambda: _chat(
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,raw"}}]}]
    ),
    "25_image_of_the_system": lambda: _chat(
        messages=[
            {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]}
        ]
    ),
    "20_bad_enum": lambda: _chat(messages=[{"role": "narrator", "content": "Hello"}]),
    "21_chat_prompt_too_long": lambda: _too_long(_chat(), 9),
    "21_chat_and_completion_too_long": lambda: _too_long(_chat(max_tokens=5), 4),
    "22_completion_too_long": lambda: _too_long(_completion(max_tokens=5), 4),
    "27_body_too_large": lambda: _raise(
        RequestTooLarge("Maximum content size limit (4194304) exceeded (4194305 bytes read)", status=413)
    ),
    "33_too_many_requests": lambda: _raise(
        RateLimited("Too many wrong keys.", kind="requests", code="rate_limit_exceeded", retry_after_seconds=20)
    ),
    "34_no_credit": lambda: _raise(
        RateLimited(
            "You exceeded your current quota.",
            kind="insufficient_quota",
            code="insufficient_quota",
            retry_after_seconds=None,
        )
    ),
    "37_overloaded": lambda: _raise(Overloaded("The server is busy.", retry_after_seconds=2.0)),
    "38_internal_error": lambda: _raise(EngineFailed("SIGSEGV at 0xdeadbeef in /srv/llama.gguf")),
}
