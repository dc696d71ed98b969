"""Tools and 2023's functions, from the wire to core: one machinery, whose refusals use the client's own words."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from parley.api.explain import wording
from parley.api.openai.schema_bounds import MAX_BYTES_TOGETHER, check_bounds
from parley.api.openai.schemas.chat import CreateChatCompletionRequest
from parley.api.openai.schemas.tools import (
    ChatCompletionNamedToolChoice,
    ChatCompletionTool,
    FunctionObject,
    NamedFunction,
)
from parley.api.openai.today import unsupported
from parley.core.errors import InvalidRequest
from parley.core.requests import Function, Schema, ToolChoice, Tools

NAME_PATTERN = "^[A-Za-z0-9_-]{1,64}$"
_NAME = re.compile("[A-Za-z0-9_-]{1,64}")


def to_tools(body: CreateChatCompletionRequest) -> Tools | None:
    """What the model may call; None where there is nothing, or the client chose "none". Raises InvalidRequest."""
    if not (body.tools or body.functions or body.tool_choice or body.function_call):
        return None
    if body.functions and body.tools:
        raise InvalidRequest(
            "Invalid 'functions': only one of 'tools' and 'functions' may be given.",
            param="functions",
            code="invalid_value",
        )
    if body.functions:
        declared = [
            (
                FunctionObject(name=each.name, description=each.description, parameters=each.parameters),
                f"functions[{index}]",
            )
            for index, each in enumerate(body.functions)
        ]
    else:
        declared = [_function_of(tool, f"tools[{index}]") for index, tool in enumerate(body.tools or ())]
    is_2023 = bool(body.functions)
    choice = body.function_call if is_2023 else _tool_choice(body)
    functions = _to_functions(declared, "functions" if is_2023 else "tools")
    _check_choice(body, functions)
    if not functions or choice == "none":
        return None
    return Tools(
        functions=functions,
        choice=ToolChoice.REQUIRED if choice == "required" else ToolChoice.AUTO,
        only=choice.name if isinstance(choice, NamedFunction) else None,
        # 2023's form has room for one call.
        is_parallel=not is_2023 and body.parallel_tool_calls is not False,
        field="functions" if is_2023 else "tools",
        choice_field="function_call" if is_2023 else "tool_choice",
    )


def check_name(name: str, path: str) -> None:
    """Raise InvalidRequest for a function's or participant's name that could be anything but a name."""
    if not _NAME.fullmatch(name):
        raise wording.no_match(path, NAME_PATTERN)


def _tool_choice(
    body: CreateChatCompletionRequest,
) -> Literal["none", "auto", "required"] | NamedFunction | None:
    choice = body.tool_choice
    if not isinstance(choice, ChatCompletionNamedToolChoice):
        return choice
    if choice.type != "function":
        raise unsupported(f"tool_choice.{choice.type}")
    if choice.function is None:
        raise wording.missing("tool_choice.function")
    return choice.function


def _check_choice(body: CreateChatCompletionRequest, functions: Sequence[Function]) -> None:
    """Raise InvalidRequest for a choice among functions that are not declared."""
    named = _tool_choice(body)
    for field, other, choice, is_declared in (
        ("tool_choice", "tools", named, bool(body.tools)),
        ("function_call", "functions", body.function_call, bool(body.functions)),
    ):
        if not is_declared and choice not in (None, "none", "auto"):
            raise InvalidRequest(
                f"Invalid value for '{field}': '{field}' is only allowed when '{other}' are specified.",
                param=field,
                code="invalid_value",
            )
        if isinstance(choice, NamedFunction) and choice.name not in {function.name for function in functions}:
            raise InvalidRequest(
                f"Invalid value for '{field}': no function named '{wording.shown(choice.name)}' was specified in '{other}'.",
                param=field,
                code="invalid_value",
            )


def _function_of(tool: ChatCompletionTool, path: str) -> tuple[FunctionObject, str]:
    if tool.type != "function" or tool.custom is not None:
        raise unsupported(f"{path}.custom")
    if tool.function is None:
        raise wording.missing(f"{path}.function")
    return tool.function, f"{path}.function"


def _to_functions(declared: Sequence[tuple[FunctionObject, str]], field: str) -> tuple[Function, ...]:
    """The functions, one by one: where their schemas become too much, the rest is not looked at."""
    functions, num_bytes = [], 0
    for function, path in declared:
        functions.append(_to_function(function, path))
        parameters = functions[-1].parameters
        num_bytes += 0 if parameters is None else len(parameters.text)
        if num_bytes > MAX_BYTES_TOGETHER:
            raise InvalidRequest(
                f"Invalid '{field}': the schemas have more than {MAX_BYTES_TOGETHER} bytes together.",
                param=field,
                code="invalid_value",
            )
    return tuple(functions)


def _to_function(function: FunctionObject, path: str) -> Function:
    check_name(function.name, f"{path}.name")
    parameters = None
    if function.parameters is not None:
        subject, param = f"function '{function.name}'", f"{path}.parameters"
        _check_is_of_object(function.parameters, subject, param)
        parameters = Schema(
            text=check_bounds(function.parameters, subject, param),
            subject=subject,
            param=param,
            code="invalid_function_parameters",
        )
    return Function(
        name=function.name,
        description=function.description,
        parameters=parameters,
        is_strict=bool(function.strict),
    )


def _check_is_of_object(schema: dict[str, Any], subject: str, param: str) -> None:
    """Raise InvalidRequest for a schema of something that has no named arguments. One that names no type is taken."""
    kind = schema.get("type", "object")
    kinds = kind if isinstance(kind, list) else [kind]
    # What is no type at all is told by who reads the schema.
    if "object" in kinds or not all(isinstance(each, str) for each in kinds):
        return
    raise InvalidRequest(
        f"Invalid schema for {subject}: schema must be a JSON Schema of 'type: \"object\"', got 'type: "
        f'"{wording.shown(", ".join(kinds))}"\'.',
        param=param,
        code="invalid_function_parameters",
    )
