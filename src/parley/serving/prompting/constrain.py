"""May this answer be held to what was asked? Each schema is tried by itself, so that a refusal names it; then the whole."""

from parley.core.errors import InvalidRequest, UnsupportedParameter
from parley.core.requests import ChatPrompt, Grammar, Schema
from parley.core.snapshot import Snapshot, Weights
from parley.core.template import ChatTemplate
from parley.core.tokenizer import Vocabulary
from parley.serving.prompting.call_grammar import fault_of_call
from parley.serving.prompting.grammar import (
    answer_grammar,
    arguments_grammar,
    called_functions,
    is_forced,
    schema_grammar,
)
from parley.serving.prompting.grammar_check import GrammarCheck


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
        grammar = answer_grammar(prompt, template, vocabulary)
        if prompt.answer is not None:
            await self._try(schema_grammar(prompt.answer), prompt.answer, tenant)
        form = template.tools
        for function in () if prompt.tools is None or form is None else called_functions(prompt.tools):
            # Where nothing holds the answer, what is not strict promises nothing.
            is_tried = grammar is not None or function.is_strict
            if function.parameters is not None and form is not None and is_tried:
                if fault := fault_of_call(function, form):
                    raise _invalid(function.parameters, fault)
                await self._try(arguments_grammar(function, form, vocabulary), function.parameters, tenant)
        fault = "" if grammar is None else await self._check.fault_of(grammar, tenant=tenant)
        if fault:
            # Each of its parts was sound, so that it is their number that is too much.
            param = "response_format" if prompt.tools is None else prompt.tools.field
            raise InvalidRequest(f"Invalid '{param}': its schemas are too complex together: {fault}.", param=param)
        return grammar

    async def _try(self, grammar: Grammar, schema: Schema, tenant: str) -> None:
        fault = await self._check.fault_of(grammar, tenant=tenant)
        if fault:
            raise _invalid(schema, fault)


def _invalid(schema: Schema, fault: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid schema for {schema.subject}: {fault}.", param=schema.param, code=schema.code)


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
