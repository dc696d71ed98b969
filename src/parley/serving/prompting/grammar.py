"""Which grammar holds an answer to what was asked for: JSON of a schema, calls of declared functions, or text and calls."""

import json
import re

from parley.core.requests import ChatPrompt, Function, Grammar, Schema, ToolChoice, Tools
from parley.core.template import ChatTemplate, Frame, ToolFormat
from parley.core.tokenizer import Vocabulary
from parley.serving.prompting.call_grammar import call_rules, rest_of_calls
from parley.serving.prompting.lark import COMPACT, is_hidden, json_of, literal


def schema_grammar(schema: Schema) -> Grammar:
    """What a schema allows, every word of it enforced: to be tried by itself, so that a refusal can name it."""
    return Grammar(f"start: {json_of(json.loads(schema.text), COMPACT)}\n")


def pattern_grammar(pattern: str) -> Grammar:
    """A text that fits a pattern of a schema: to be tried by itself."""
    return Grammar(f"start: {json_of({'type': 'string', 'pattern': pattern}, COMPACT)}\n")


def arguments_grammar(function: Function, form: ToolFormat, vocabulary: Vocabulary) -> Grammar:
    """What a function may be called with, in the family's form."""
    return Grammar("\n".join(["start: call", *call_rules([function], form, vocabulary), ""]))


def called_functions(tools: Tools) -> tuple[Function, ...]:
    """Those of the declared functions that an answer may call."""
    if tools.only is None:
        return tools.functions
    return tuple(function for function in tools.functions if function.name == tools.only)


def is_forced(tools: Tools) -> bool:
    """Whether the answer has to be a call."""
    return tools.choice is ToolChoice.REQUIRED or tools.only is not None


def answer_grammar(prompt: ChatPrompt, template: ChatTemplate, vocabulary: Vocabulary) -> Grammar | None:
    """The grammar of the whole answer; None where any text will do.

    In a family without a mark for calls, an answer that may be a call or text is left free: nobody could tell a call
    from JSON that was asked for.
    """
    tools, answer, form = prompt.tools, prompt.answer, template.tools
    if tools is None or form is None:
        return None if answer is None else schema_grammar(answer)
    rules = _call_rules(tools, form, vocabulary)
    if is_forced(tools):
        return Grammar("\n".join(["start: calls", *rules, ""]))
    if answer is not None:
        return Grammar(
            "\n".join(["start: calls | answer", f"answer: {json_of(json.loads(answer.text), COMPACT)}", *rules, ""])
        )
    if not form.mark:
        return None
    return Grammar("\n".join([*_text_then_calls(form, template.thought, vocabulary), *rules, ""]))


def markers(template: ChatTemplate, vocabulary: Vocabulary, *, has_tools: bool) -> tuple[str, ...]:
    """The special tokens that an answer is read by, and that an engine would otherwise hide. Who reads an answer has to see
    which of it is only thought, with tools or without."""
    thought = () if template.thought is None else (template.thought.before, template.thought.after)
    marks = template.tools.marks if has_tools and template.tools is not None else ()
    return tuple(text for text in (*marks, *thought) if is_hidden(text, vocabulary))


def _text_then_calls(form: ToolFormat, thought: Frame | None, vocabulary: Vocabulary) -> list[str]:
    """Text, calls, or both. Text ends where the mark begins: by its token, or as soon as it is written out. What is only
    thought, before all of it, may speak of calls."""
    opening, text, rules = "", "/(.|\\n)*/", []
    if thought is not None:
        before, after = literal(thought.before, vocabulary), literal(thought.after, vocabulary)
        opening, rules = "thought? ", [f"thought[lazy]: /\\s*/ {before} /(.|\\n)*/ {after}"]
        if is_hidden(thought.before, vocabulary):
            rules = [f"thought: {before} TEXT {after}"]
        else:
            text = f"{text} & ~/{re.escape(thought.before)}(.|\\n)*/"
    if is_hidden(form.mark, vocabulary):
        return [f"start: {opening}TEXT calls?", f"TEXT: {text}", *rules]
    return [
        f"start: {opening}(TEXT | text_and_mark marked_calls)",
        f"TEXT: {text}",
        f"text_and_mark[lazy]: TEXT {json.dumps(form.mark)}",
        *rules,
    ]


def _call_rules(tools: Tools, form: ToolFormat, vocabulary: Vocabulary) -> list[str]:
    rules = call_rules(called_functions(tools), form, vocabulary)
    rest = rest_of_calls(form.calls, vocabulary, is_one=form.is_single or not tools.is_parallel)
    opening = form.calls.all.before + form.calls.each.before
    rules.append(f"calls: {literal(opening, vocabulary)} {rest}")
    if form.mark and not is_hidden(form.mark, vocabulary):
        rules.append(f"marked_calls: {literal(opening[len(form.mark) :], vocabulary)} {rest}")
    return rules
