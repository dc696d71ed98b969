"""May this answer be held to what was asked? Each schema is tried by itself, so that a refusal names it; then the whole."""

import json

from msgspec.structs import replace

from parley.core.errors import InvalidRequest, UnsupportedParameter
from parley.core.requests import ChatPrompt, Function, Grammar, Schema
from parley.core.snapshot import Snapshot, Weights
from parley.core.template import ChatTemplate, ToolFormat
from parley.core.tokenizer import Vocabulary
from parley.serving.prompting.call_grammar import fault_of_call
from parley.serving.prompting.closing import close_objects
from parley.serving.prompting.enforceable import fault_of_schema, held_part, patterns_of
from parley.serving.prompting.grammar import (
    answer_grammar,
    arguments_grammar,
    called_functions,
    is_forced,
    pattern_grammar,
    schema_grammar,
)
from parley.serving.prompting.grammar_check import GrammarCheck

# Of one function; each may take the worker its two seconds.
_MOST_PATTERNS = 16


class Constraints:
    """Grammars of answers, tried before they are handed out."""

    def __init__(self, check: GrammarCheck) -> None:
        self._check = check

    def refuse_unsupported(
        self, prompt: ChatPrompt, template: ChatTemplate, snapshot: Snapshot, weights: Weights
    ) -> None:
        """Raise UnsupportedParameter for what this model's template or engine has no way to do."""
        tools = prompt.tools
        if template.tools is None:
            _refuse_tools(prompt, snapshot)
        if weights.can_constrain:
            return
        if prompt.answer is not None:
            raise _cannot(prompt.answer.param, snapshot)
        if tools is not None and is_forced(tools):
            raise _cannot(tools.choice_field, snapshot)
        if tools is not None and any(function.is_strict for function in tools.functions):
            raise _cannot("strict", snapshot)

    async def grammar_of(
        self, prompt: ChatPrompt, template: ChatTemplate, vocabulary: Vocabulary, weights: Weights, *, tenant: str
    ) -> Grammar | None:
        """The grammar of the whole answer, which an engine may rely on. Raises InvalidRequest that names the schema."""
        if not weights.can_constrain:
            return None
        answer, tools, form = prompt.answer, prompt.tools, template.tools
        if answer is not None:
            _refuse(answer, _unkept(answer))
            await self._try(schema_grammar(answer), answer, tenant)
        if tools is not None and form is not None:
            # Where nothing holds the answer, what is not strict promises nothing.
            is_free = answer_grammar(prompt, template, vocabulary) is None
            tried = [
                function if is_free and not function.is_strict else await self._held(function, form, vocabulary, tenant)
                for function in called_functions(tools)
            ]
            prompt = replace(prompt, tools=replace(tools, functions=tuple(tried)))
        grammar = answer_grammar(prompt, template, vocabulary)
        fault = "" if grammar is None else await self._check.fault_of(grammar, tenant=tenant)
        if fault:
            # Each of its parts was sound, so that it is their number that is too much.
            param = "response_format" if tools is None else tools.field
            raise InvalidRequest(f"Invalid '{param}': its schemas are too complex together: {fault}.", param=param)
        return grammar

    async def _held(self, function: Function, form: ToolFormat, vocabulary: Vocabulary, tenant: str) -> Function:
        """The function as its calls can be held to it: a strict one to all that it says."""
        parameters = function.parameters
        if parameters is None:
            return function
        if function.is_strict:
            _refuse(parameters, _unkept(parameters) or fault_of_call(function, form))
            await self._try(arguments_grammar(function, form, vocabulary), parameters, tenant)
            return function
        held = _loosened(function, parameters, frozenset())
        if await self._check.fault_of(arguments_grammar(held, form, vocabulary), tenant=tenant):
            held = _loosened(function, parameters, await self._refused_patterns(parameters, tenant))
            await self._try(arguments_grammar(held, form, vocabulary), parameters, tenant)
        return held

    async def _refused_patterns(self, schema: Schema, tenant: str) -> frozenset[str]:
        """Those of its patterns that cannot be enforced, each for itself."""
        patterns = patterns_of(json.loads(schema.text))
        if len(patterns) > _MOST_PATTERNS:
            return frozenset()
        faults = {each: await self._check.fault_of(pattern_grammar(each), tenant=tenant) for each in patterns}
        return frozenset(pattern for pattern, fault in faults.items() if fault)

    async def _try(self, grammar: Grammar, schema: Schema, tenant: str) -> None:
        _refuse(schema, await self._check.fault_of(grammar, tenant=tenant))


def _refuse(schema: Schema, fault: str | None) -> None:
    if fault:
        raise InvalidRequest(f"Invalid schema for {schema.subject}: {fault}.", param=schema.param, code=schema.code)


def _unkept(schema: Schema) -> str | None:
    return fault_of_schema(close_objects(json.loads(schema.text)))


def _loosened(function: Function, parameters: Schema, refused_patterns: frozenset[str]) -> Function:
    held = held_part(close_objects(json.loads(parameters.text)), refused_patterns)
    return replace(function, parameters=replace(parameters, text=json.dumps(held, ensure_ascii=False)))


def _refuse_tools(prompt: ChatPrompt, snapshot: Snapshot) -> None:
    if prompt.tools is not None:
        raise _no_tools(prompt.tools.field, snapshot)
    for index, message in enumerate(prompt.messages):
        if message.calls:
            raise UnsupportedParameter(
                f"Unsupported parameter: 'messages[{index}].tool_calls' is not supported with the model "
                f"`{snapshot.name}`, whose prompt format has no place for calls.",
                param=f"messages[{index}].tool_calls",
            )


def _no_tools(field: str, snapshot: Snapshot) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"Unsupported parameter: '{field}' is not supported with the model `{snapshot.name}`, "
        "whose prompt format has no place for tools.",
        param=field,
    )


def _cannot(param: str, snapshot: Snapshot) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"Unsupported parameter: '{param}' asks for more than the model `{snapshot.name}` can do: its engine cannot hold "
        "an answer to a form.",
        param=param,
    )
