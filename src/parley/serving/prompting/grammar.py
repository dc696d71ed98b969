"""Which grammar holds an answer to what was asked for: JSON of a schema, calls of declared functions, or text and calls."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType

from parley.core.requests import ChatPrompt, Function, Grammar, Schema, ToolChoice, Tools
from parley.core.template import Listing, ToolFormat
from parley.core.tokenizer import Vocabulary
from parley.serving.prompting.closing import close_objects

# JSON without a needless space, and JSON as the families' models write calls.
_COMPACT: Mapping[str, object] = MappingProxyType({"whitespace_flexible": False})
_SPACED: Mapping[str, object] = MappingProxyType({**_COMPACT, "item_separator": ", ", "key_separator": ": "})
_NO_ARGUMENTS = '{"type":"object","properties":{},"additionalProperties":false}'


def schema_grammar(schema: Schema) -> Grammar:
    """What a schema allows, every word of it enforced: to be tried by itself, so that a refusal can name it."""
    return Grammar(f"start: {_json(json.loads(schema.text), _COMPACT)}\n")


def arguments_grammar(function: Function) -> Grammar:
    """What a function may be called with."""
    return Grammar(f"start: {_arguments(function)}\n")


def called_functions(tools: Tools) -> tuple[Function, ...]:
    """Those of the declared functions that an answer may call."""
    if tools.only is None:
        return tools.functions
    return tuple(function for function in tools.functions if function.name == tools.only)


def is_forced(tools: Tools) -> bool:
    """Whether the answer has to be a call."""
    return tools.choice is ToolChoice.REQUIRED or tools.only is not None


def answer_grammar(prompt: ChatPrompt, form: ToolFormat | None, vocabulary: Vocabulary) -> Grammar | None:
    """The grammar of the whole answer; None where any text will do.

    In a family without a mark for calls, an answer that may be a call or text is left free: nobody could tell a call
    from JSON that was asked for.
    """
    tools, answer = prompt.tools, prompt.answer
    if tools is None or form is None:
        return None if answer is None else schema_grammar(answer)
    rules = _call_rules(tools, form, vocabulary)
    if is_forced(tools):
        return Grammar("\n".join(["start: calls", *rules, ""]))
    if answer is not None:
        return Grammar(
            "\n".join(["start: calls | answer", f"answer: {_json(json.loads(answer.text), _COMPACT)}", *rules, ""])
        )
    if not form.mark:
        return None
    return Grammar("\n".join([*_text_then_calls(form, vocabulary), *rules, ""]))


def markers(form: ToolFormat, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The special tokens that an answer is read by, and that an engine would otherwise hide."""
    return tuple(text for text in form.marks if _is_hidden(text, vocabulary))


def _text_then_calls(form: ToolFormat, vocabulary: Vocabulary) -> list[str]:
    """Text, calls, or both. Text ends where the mark begins: by its token, or as soon as it is written out. What is only
    thought, before all of it, may speak of calls."""
    opening, text, rules = "", "/(.|\\n)*/", []
    if form.thought is not None and not _is_hidden(form.thought.before, vocabulary):
        before, after = json.dumps(form.thought.before), json.dumps(form.thought.after)
        opening, text = "thought? ", f"{text} & ~/{re.escape(form.thought.before)}(.|\\n)*/"
        rules = [f"thought[lazy]: /\\s*/ {before} /(.|\\n)*/ {after}"]
    if _is_hidden(form.mark, vocabulary):
        return [f"start: {opening}TEXT calls?", f"TEXT: {text}", *rules]
    return [
        f"start: {opening}(TEXT | text_and_mark marked_calls)",
        f"TEXT: {text}",
        f"text_and_mark[lazy]: TEXT {json.dumps(form.mark)}",
        *rules,
    ]


def _call_rules(tools: Tools, form: ToolFormat, vocabulary: Vocabulary) -> list[str]:
    functions = called_functions(tools)
    names = " | ".join(f"call_{index}" for index in range(len(functions)))
    is_one = form.is_single or not tools.is_parallel
    rules = [f"call: {names}"]
    rules += [f"call_{index}: {_call(function, form, vocabulary)}" for index, function in enumerate(functions)]
    opening = form.calls.all.before + form.calls.each.before
    rules.append(f"calls: {_literal(opening, vocabulary)} {_rest(form.calls, is_one, vocabulary)}")
    if form.mark and not _is_hidden(form.mark, vocabulary):
        rules.append(
            f"marked_calls: {_literal(opening[len(form.mark) :], vocabulary)} {_rest(form.calls, is_one, vocabulary)}"
        )
    return rules


def _rest(calls: Listing, is_one: bool, vocabulary: Vocabulary) -> str:
    """What follows the opening of the first call."""
    each, last = calls.each.after, _literal(calls.each.after + calls.all.after, vocabulary)
    if is_one:
        return f"call {last}"
    further = _literal(each + calls.between + calls.each.before, vocabulary)
    return f"call ({further} call)* {last}"


def _call(function: Function, form: ToolFormat, vocabulary: Vocabulary) -> str:
    if form.arguments_mark:
        call_id = f"({_literal(form.id_mark, vocabulary)} /[A-Za-z0-9]{{9}}/)?" if form.id_mark else ""
        mark = _literal(form.arguments_mark, vocabulary)
        return f"{json.dumps(function.name)} {call_id} {mark} {_arguments(function)}"
    before = json.dumps(f'{{"name": {json.dumps(function.name)}, "{form.arguments_key}": ')
    return f'{before} {_arguments(function)} "}}"'


def _arguments(function: Function) -> str:
    """An object that fits a function's schema. What cannot be enforced of it is only left out where the function is not strict."""
    schema = json.loads(_NO_ARGUMENTS if function.parameters is None else function.parameters.text)
    kinds = schema.get("type", ["object"])
    if isinstance(kinds, list) and "object" in kinds:
        # Arguments have names, also where their schema leaves open what they are.
        schema["type"] = "object"
    return _json(schema, {**_SPACED, "lenient": not function.is_strict})


def _json(schema: Mapping[str, object], guidance: Mapping[str, object]) -> str:
    guided = {**schema, "x-guidance": dict(guidance)}
    return f"%json {json.dumps(close_objects(guided), ensure_ascii=False)}"


def _literal(text: str, vocabulary: Vocabulary) -> str:
    """A text of ours in a grammar: hidden special tokens by their ids, the rest letter by letter."""
    hidden = [each for each in vocabulary.special_tokens if each in text and _is_hidden(each, vocabulary)]
    parts = re.split("(" + "|".join(map(re.escape, hidden)) + ")", text) if hidden else [text]
    written = [_part(part, part in hidden, vocabulary) for part in parts if part]
    return " ".join(written)


def _part(text: str, is_token: bool, vocabulary: Vocabulary) -> str:
    return f"<[{vocabulary.special_tokens[text]}]>" if is_token else json.dumps(text)


def _is_hidden(text: str, vocabulary: Vocabulary) -> bool:
    return text in vocabulary.special_tokens and text not in vocabulary.written_specials
