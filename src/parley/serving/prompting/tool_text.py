"""Declarations, calls and results as what stands between a family's scaffolding. All that anybody chose of them is content."""

import json
import re

from parley.core.requests import ChatMessage, Function, ToolCall
from parley.core.template import ToolFormat
from parley.core.tokenizer import Segment

_NOT_ALPHANUMERIC = re.compile("[^A-Za-z0-9]")


def declaration(function: Function, form: ToolFormat) -> list[Segment]:
    """A function as it is declared. Whether it is strict is for us, and not for the model."""
    declared: dict[str, object] = {"name": function.name}
    if function.description is not None:
        declared["description"] = function.description
    if function.parameters is not None:
        declared["parameters"] = json.loads(function.parameters.text)
    return [_content(_json({"type": "function", "function": declared} if form.is_wrapped else declared))]


def call(called: ToolCall, form: ToolFormat) -> list[Segment]:
    """A call that the assistant made earlier, in the spelling in which the family's models write it."""
    arguments = _respelled(called.arguments)
    if not form.arguments_mark:
        call_id = f', "id": {_json(_short_id(called.call_id, called.name))}' if form.has_call_id else ""
        return [_content(f'{{"name": {_json(called.name)}, "{form.arguments_key}": {arguments}{call_id}}}')]
    id_part = [_control(form.id_mark), _content(_short_id(called.call_id, called.name))] if form.id_mark else []
    return [_content(called.name), *id_part, _control(form.arguments_mark), _content(arguments)]


def result(message: ChatMessage, form: ToolFormat) -> list[Segment]:
    """What a function answered."""
    call_id = _short_id(message.call_id, message.name)
    if form.has_result_object:
        return [_content(_json({"content": message.content, "call_id": call_id}))]
    if form.result_id_mark:
        return [_content(call_id), _control(form.result_id_mark), _content(message.content)]
    return [_content(message.content)]


def _short_id(call_id: str | None, name: str | None) -> str:
    """An id of nine letters or digits. A shorter one is filled up: it must be the same on every turn, and nothing reads it back."""
    return _NOT_ALPHANUMERIC.sub("", call_id or name or "")[-9:].rjust(9, "0")


def _content(text: str) -> Segment:
    return Segment(text, is_control=False)


def _control(text: str) -> Segment:
    return Segment(text, is_control=True)


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
