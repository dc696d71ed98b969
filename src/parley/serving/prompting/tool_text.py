"""Declarations, calls and results as the texts that stand between a family's scaffolding. All of them are content."""

import json
import re

from parley.core.requests import ChatMessage, Function, ToolCall
from parley.core.template import ToolFormat

_NOT_ALPHANUMERIC = re.compile("[^A-Za-z0-9]")


def declaration(function: Function, form: ToolFormat) -> str:
    """A function as it is declared. Whether it is strict is for us, and not for the model."""
    declared: dict[str, object] = {"name": function.name}
    if function.description is not None:
        declared["description"] = function.description
    if function.parameters is not None:
        declared["parameters"] = json.loads(function.parameters.text)
    return _json({"type": "function", "function": declared} if form.is_wrapped else declared)


def call(called: ToolCall, form: ToolFormat) -> str:
    """A call that the assistant made earlier, in the spelling in which the family's models write it."""
    return f'{{"name": {_json(called.name)}, "{form.arguments_key}": {_respelled(called.arguments)}}}'


def result(message: ChatMessage, form: ToolFormat) -> str:
    """What a function answered."""
    if not form.has_result_object:
        return message.content
    # A shorter id is filled up: it must be the same on every turn, and nothing reads it back.
    call_id = _NOT_ALPHANUMERIC.sub("", message.call_id or message.name or "")[-9:].rjust(9, "0")
    return _json({"content": message.content, "call_id": call_id})


def _respelled(arguments: str) -> str:
    """The arguments with JSON's usual spaces; text that is no JSON object stays as it is."""
    try:
        value = json.loads(arguments)
        respelled = _json(value)
        # An escaped half of a character is JSON, but no text.
        respelled.encode()
    except (ValueError, RecursionError):
        return arguments
    return respelled if isinstance(value, dict) else arguments


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
