"""Wire types of tools, of 2023's functions, and of `response_format`."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from parley.api.openai.schemas.shared import ReplyStruct, RequestStruct

MAX_TOOLS = 128
# The pattern is checked in `tools.py`: Python's `$` would let a line break pass behind the name.
FunctionName = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
Description = Annotated[str, Meta(max_length=1024)]
JsonSchema = Annotated[dict[str, Any], Meta(description="A JSON schema.")]


class ChatCompletionFunctions(RequestStruct, kw_only=True):
    """A function as 2023 declared it."""

    name: FunctionName
    description: Description | None = None
    parameters: JsonSchema | None = None


class FunctionObject(RequestStruct, kw_only=True):
    """A function. A strict one is only called with arguments that its schema allows."""

    name: FunctionName
    description: Description | None = None
    parameters: JsonSchema | None = None
    strict: bool | None = None


class ChatCompletionTool(RequestStruct, kw_only=True):
    """A tool. Those of type custom are known by name, and refused."""

    type: Literal["function", "custom"]
    function: FunctionObject | None = None
    custom: Any = None


class NamedFunction(RequestStruct, kw_only=True):
    """The name of a declared function."""

    name: str


class ChatCompletionNamedToolChoice(RequestStruct, kw_only=True):
    """The one tool that has to be called. The types custom and allowed_tools are known by name, and refused."""

    type: Literal["function", "custom", "allowed_tools"]
    function: NamedFunction | None = None
    custom: Any = None
    allowed_tools: Any = None


ChatCompletionToolChoiceOption = Literal["none", "auto", "required"] | ChatCompletionNamedToolChoice
FunctionCallOption = Literal["none", "auto"] | NamedFunction


class CalledFunction(RequestStruct, kw_only=True):
    """A call in a message that a client sends back; `parsed_arguments` is what the official client made of `arguments`."""

    name: FunctionName
    arguments: str
    parsed_arguments: Any = None


class ChatCompletionMessageToolCall(RequestStruct, kw_only=True):
    """A call in a message that a client sends back; `index` is what some clients keep of a stream."""

    id: Annotated[str, Meta(max_length=512)]
    type: Literal["function", "custom"]
    function: CalledFunction | None = None
    custom: Any = None
    index: int | None = None


class ResponseFormatJsonSchema(RequestStruct, kw_only=True):
    """The schema that the answer shall fit. Our own engines enforce it whether strict or not."""

    name: FunctionName
    description: Annotated[str, Meta(max_length=1024)] | None = None
    schema: JsonSchema | None = None
    strict: bool | None = None


class ResponseFormat(RequestStruct, kw_only=True):
    """What the answer's text shall be: anything, a JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: ResponseFormatJsonSchema | None = None


class CalledFunctionReply(ReplyStruct, kw_only=True):
    """A call by the model; `arguments` are JSON as it wrote it."""

    name: str
    arguments: str


class ChatCompletionMessageToolCallReply(ReplyStruct, kw_only=True):
    """A call by the model, with the id that the tool's result refers to."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunctionReply


class CalledFunctionChunk(ReplyStruct, kw_only=True):
    """A piece of a call: its name in the first, its arguments bit by bit."""

    name: str | UnsetType = UNSET
    arguments: str


class ChatCompletionMessageToolCallChunk(ReplyStruct, kw_only=True):
    """A piece of the call with this index; id, type and name stand in its first alone."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: CalledFunctionChunk
