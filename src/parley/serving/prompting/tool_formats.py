"""How the template families we know write tools, calls and results, as data. The texts are what their models were taught."""

from dataclasses import replace

from parley.core.template import Frame, Listing, ToolFormat, ToolPlace

_TAGGED_CALLS = Listing(each=Frame(before="<tool_call>\n", after="\n</tool_call>"), between="\n")
_CALL_FORM = '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'

# ChatML with the tags that Hermes brought; the plain words around them are for any model that follows instructions.
HERMES = ToolFormat(
    place=ToolPlace.SYSTEM_END,
    declarations=Listing(
        all=Frame(
            before="You can call functions. Their signatures are within <tools></tools> tags:\n<tools>\n",
            after="\n</tools>\nTo call one, return a JSON object with its name and arguments within "
            "<tool_call></tool_call> tags, as follows:\n" + _CALL_FORM,
        ),
        between="\n",
    ),
    is_wrapped=True,
    calls=_TAGGED_CALLS,
    mark="<tool_call>",
    close="</tool_call>",
    results=Listing(
        each=Frame(before="<|im_start|>tool\n<tool_response>\n", after="\n</tool_response><|im_end|>\n"),
    ),
)

QWEN = ToolFormat(
    place=ToolPlace.SYSTEM_END,
    declarations=Listing(
        all=Frame(
            before="# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with "
            "function signatures within <tools></tools> XML tags:\n<tools>\n",
            after="\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
            "<tool_call></tool_call> XML tags:\n" + _CALL_FORM,
        ),
        between="\n",
    ),
    is_wrapped=True,
    calls=_TAGGED_CALLS,
    mark="<tool_call>",
    close="</tool_call>",
    thought=Frame(before="<think>", after="</think>"),
    results=Listing(
        all=Frame(before="<|im_start|>user\n", after="<|im_end|>\n"),
        each=Frame(before="<tool_response>\n", after="\n</tool_response>"),
        between="\n",
    ),
)

# The bundled model's: the same tags with as few words as a small model needs.
PARLEY = ToolFormat(
    place=ToolPlace.SYSTEM_END,
    declarations=Listing(all=Frame(before="# Tools\n<tools>\n", after="\n</tools>"), between="\n"),
    is_wrapped=False,
    calls=_TAGGED_CALLS,
    mark="<tool_call>",
    close="</tool_call>",
    results=Listing(each=Frame(before="<|im_start|>tool\n", after="<|im_end|>\n")),
)

LLAMA_3 = ToolFormat(
    place=ToolPlace.FIRST_USER,
    declarations=Listing(
        all=Frame(
            before="Given the following functions, please respond with a JSON for a function call with its proper arguments "
            'that best answers the given prompt.\n\nRespond in the format {"name": function name, "parameters": dictionary '
            "of argument name and its value}. Do not use variables.\n\n",
            after="\n\n",
        ),
        between="\n\n",
    ),
    is_wrapped=True,
    calls=Listing(between="\n"),
    arguments_key="parameters",
    mark="",
    # Llama 3.1 was taught it for tools that it has itself, and writes it before others, too.
    lead="<|python_tag|>",
    is_single=True,
    results=Listing(
        each=Frame(before="<|start_header_id|>ipython<|end_header_id|>\n\n", after="<|eot_id|>"),
    ),
)

MISTRAL = ToolFormat(
    place=ToolPlace.BEFORE_LAST_USER,
    declarations=Listing(
        all=Frame(before="[AVAILABLE_TOOLS] [", after="][/AVAILABLE_TOOLS]"),
        between=", ",
    ),
    is_wrapped=True,
    calls=Listing(all=Frame(before="[TOOL_CALLS] [", after="]"), between=", "),
    mark="[TOOL_CALLS]",
    results=Listing(each=Frame(before="[TOOL_RESULTS] ", after="[/TOOL_RESULTS]")),
    has_result_object=True,
)

# Version 7 of Mistral's tokenizers: no spaces around the marks, ids before the results.
MISTRAL_V7 = replace(
    MISTRAL,
    declarations=Listing(all=Frame(before="[AVAILABLE_TOOLS][", after="][/AVAILABLE_TOOLS]"), between=", "),
    calls=Listing(all=Frame(before="[TOOL_CALLS][", after="]"), between=", "),
    has_call_id=True,
    results=Listing(each=Frame(before="[TOOL_RESULTS]", after="[/TOOL_RESULTS]")),
    has_result_object=False,
    result_id_mark="[TOOL_CONTENT]",
)

# From version 11 on a call is no object, and each has the mark before it. Version 13 left the ids out.
MISTRAL_V11 = replace(
    MISTRAL_V7,
    calls=Listing(each=Frame(before="[TOOL_CALLS]", after="")),
    arguments_mark="[ARGS]",
    id_mark="[CALL_ID]",
    has_call_id=False,
)
MISTRAL_V13 = replace(MISTRAL_V11, place=ToolPlace.BEFORE_FIRST_USER, id_mark="", result_id_mark="")
