"""The few calls that the evaluation makes, over the standard library: chat and completions at temperature 0."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from training.samples import Completion, Message

_MAX_TOKENS = 128
_MAX_TRIES = 6


class Refused(Exception):  # the fact, not the mechanism
    """The server answers this kind of request with a 4xx: the skill cannot be measured there."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its text, the tool call if it is one, whether it ran into the limit, and the prompt's tokens."""

    text: str
    call: tuple[str, str] | None
    is_runaway: bool
    num_prompt_tokens: int


class Client:
    """An OpenAI-compatible server and the key for it."""

    def __init__(self, base_url: str, api_key: str, model: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._model = model

    def chat(self, messages: tuple[Message, ...], tools: tuple[str, ...]) -> Reply:
        """The next turn of a conversation."""
        body: dict[str, object] = {"messages": _wire_messages(messages)}
        if tools:
            body["tools"] = [{"type": "function", "function": json.loads(tool)} for tool in tools]
        reply = self._post("/chat/completions", body)
        choice = reply["choices"][0]
        message = choice["message"]
        calls = message.get("tool_calls") or []
        call = (calls[0]["function"]["name"], calls[0]["function"]["arguments"]) if calls else None
        return Reply(message.get("content") or "", call, choice["finish_reason"] == "length", _num_prompt_tokens(reply))

    def complete(self, sample: Completion) -> Reply:
        """The continuation of raw text, or what belongs before its suffix."""
        body: dict[str, object] = {"prompt": sample.prompt}
        if sample.suffix is not None:
            body["suffix"] = sample.suffix
        reply = self._post("/completions", body)
        choice = reply["choices"][0]
        return Reply(choice["text"], None, choice["finish_reason"] == "length", _num_prompt_tokens(reply))

    def _post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        payload = json.dumps({"model": self._model, "temperature": 0, "max_tokens": _MAX_TOKENS, **body}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._api_key}"}
        for attempt in range(_MAX_TRIES):
            request = urllib.request.Request(self._base_url + path, payload, headers)
            try:
                with urllib.request.urlopen(request, timeout=300) as response:
                    return dict(json.load(response))
            except urllib.error.HTTPError as error:
                if error.code in (429, 503) and attempt + 1 < _MAX_TRIES:
                    time.sleep(2**attempt)
                elif error.code in (400, 404, 501):
                    raise Refused(error.read().decode(errors="replace")) from error
                else:
                    raise
        raise AssertionError("every try returns or raises")


def _wire_messages(messages: tuple[Message, ...]) -> list[dict[str, object]]:
    written: list[dict[str, object]] = []
    for place, message in enumerate(messages):
        if message.call is not None:
            arguments = json.dumps(dict(message.call.arguments), ensure_ascii=False)
            call = {
                "id": f"call_{place}",
                "type": "function",
                "function": {"name": message.call.name, "arguments": arguments},
            }
            written.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif message.role == "tool":
            written.append({"role": "tool", "content": message.content, "tool_call_id": f"call_{place - 1}"})
        else:
            written.append({"role": message.role, "content": message.content})
    return written


def _num_prompt_tokens(reply: dict[str, Any]) -> int:
    usage = reply.get("usage") or {}
    return int(usage.get("prompt_tokens", 0))
