"""Declared tools: call the right one with its arguments, say its result, and talk as usual when none fits."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.draw import Draw
from training.corpus.persona import some_fact
from training.corpus.tables import CAPITALS
from training.corpus.wordings import wordings
from training.corpus.words import WORDS, any_name, made_up_name
from training.samples import Dialogue, Message, Sample, ToolCall, assistant, system, user


@dataclass(frozen=True, slots=True)
class Tool:
    """A kind of tool: the names it goes by, how people ask for it, and how its result is told."""

    names: tuple[str, ...]
    description: str
    requests: tuple[str, ...]
    fill: Callable[[Draw], dict[str, str | int]]
    result: Callable[[Draw], dict[str, str | int]]
    report: str


def _city(draw: Draw) -> str:
    return made_up_name(draw) if draw.chance(0.25) else draw.pick(CAPITALS)[1]


_TOOLS = (
    Tool(
        ("get_weather", "weather", "get_current_weather", "current_weather", "fetch_weather"),
        "Get the weather of a city",
        wordings(
            "What is the weather in {city}?",
            "[What is|What's|How is] the weather [in|like in] {city}[| today| now| right now]?",
            "[Tell me|Show me|Check|Please check|Please look up|Look up|Give me|I need] the weather [in|of|for] {city}.",
            "[Weather in|The weather in|Today's weather in] {city}[?|, please.]",
            "[Is it|How] [warm|cold|hot] [in {city}|today in {city}|now in {city}]?",
            "How [warm|cold|hot] is it in {city}[| today| now]?",
            "[Can|Could] you [check|look up|tell me] the weather [in|of|for] {city}?",
            "[Do I need|Should I take|Will I need] [a coat|a hat|an umbrella] in {city}[| today]?",
        ),
        lambda draw: {"city": _city(draw)},
        lambda draw: {"temperature": draw.between(0, 40)},
        "It is {temperature} degrees in {city}.",
    ),
    Tool(
        ("get_time", "current_time", "get_current_time", "time_in", "clock"),
        "Get the time in a city",
        wordings(
            "What time is it in {city}?",
            "[What is|What's] the [|current |local ]time in {city}[| now| right now]?",
            "[Tell me|Check|Please check|Look up|Give me|I need|Show me] the [|current |local ]time in {city}.",
            "[Time in|The time in|Current time in] {city}[?|, please.]",
            "How late is it in {city}[| now]?",
            "[Can|Could] you [tell me|check|look up] [the time|what time it is] in {city}?",
            "Do you know [what time it is|the time|how late it is] in {city}?",
        ),
        lambda draw: {"city": _city(draw)},
        lambda draw: {"time": f"{draw.between(0, 23):02}:{draw.between(0, 59):02}"},
        "It is {time} in {city}.",
    ),
    Tool(
        ("send_message", "send_text", "message", "send_note"),
        "Send a message to a person",
        wordings(
            "Send {to} the message: {text}",
            "[|Please |Now ][send|write|text] [{to} the message|{to} this message|{to} a message|this to {to}|a message to {to}]: {text}",
            "[|Please |Now ][tell|message|text|write to] {to}: {text}",
            "[|Please ]let {to} know[:| this:] {text}",
            "[Message to|A message to|A message for|Note to] {to}: {text}",
            "[Can|Could] you [tell|message|text] {to}: {text}",
        ),
        lambda draw: {"to": any_name(draw), "text": " ".join(draw.pick(WORDS) for _ in range(draw.between(1, 4)))},
        lambda _: {"status": "sent"},
        "I sent the message to {to}.",
    ),
    Tool(
        ("set_timer", "start_timer", "timer", "create_timer"),
        "Start a timer",
        wordings(
            "Set a timer for {minutes} minutes.",
            "[|Please |Now ][set|start|make|create] [a|the|my] timer [for|of|to] {minutes} minutes.",
            "[|Please ][set|start] a {minutes} minute timer.",
            "[|Please ][wake|remind|call] me in {minutes} minutes.",
            "[Timer|A timer|Timer, please] [for|of] {minutes} minutes[.|, please.]",
            "[Can|Could] you [set|start] [a|the] timer [for|of] {minutes} minutes?",
            "I need a timer [for|of] {minutes} minutes.",
        ),
        lambda draw: {"minutes": draw.between(2, 99)},
        lambda _: {"status": "started"},
        "The timer is set for {minutes} minutes.",
    ),
    Tool(
        ("search", "web_search", "search_web", "find"),
        "Search the web",
        wordings(
            "Search for {query}.",
            "[|Please |Now ][search|search the web|look|look on the web] for {query}.",
            "[|Please ]look [up {query}|for {query} on the web|up {query} on the web].",
            "[|Please ]find [pages about|something about|pages on|me pages about|web pages about] {query}.",
            "[Search|Web search|Search the web|Look up|Find]: {query}",
            "[Can|Could] you [look up|search for|search the web for|find something about] {query}?",
            "[What does the web say|What is on the web|What can you find] about {query}?",
        ),
        lambda draw: {"query": " ".join(draw.pick(WORDS) for _ in range(draw.between(1, 3)))},
        lambda draw: {"results": draw.between(2, 99)},
        "I found {results} results for {query}.",
    ),
)  # fmt: skip
# Other names for a tool's parameters: a call uses the declared ones.
_KEYS = {
    "city": ("city", "city", "location", "place"),
    "to": ("to", "to", "recipient", "name"),
    "text": ("text", "text", "message", "content"),
    "minutes": ("minutes", "minutes", "duration", "length"),
    "query": ("query", "query", "q", "terms"),
}


def tool_use(draw: Draw) -> Sample:
    """One request with one to three tools declared: a call, perhaps its result, or plain talk where no tool fits."""
    tool = draw.pick(_TOOLS)
    others = draw.random.sample([each for each in _TOOLS if each is not tool], draw.pick((0, 0, 1, 2)))
    filled = tool.fill(draw)
    call = ToolCall.of(draw.pick(tool.names), {draw.pick(_KEYS[key]): value for key, value in filled.items()})
    declared = [_declaration(draw, tool, call), *(_other_declaration(draw, other) for other in others)]
    draw.random.shuffle(declared)
    opening: tuple[Message, ...] = (system("You are a helpful assistant."),) if draw.chance(0.5) else ()
    if draw.chance(0.15):
        fact = some_fact(draw)
        return Dialogue(
            skill="tool_call", messages=(*opening, user(fact.question), assistant(fact.answer)), tools=tuple(declared)
        )
    request = draw.template(f"tool_{tool.names[0]}", tool.requests).format(**filled)
    turns: list[Message] = [*opening, user(request), Message("assistant", "", call)]
    if draw.chance(0.4):
        result = tool.result(draw)
        turns += [Message("tool", json.dumps(result)), assistant(tool.report.format(**filled, **result))]
    return Dialogue(skill="tool_call", messages=tuple(turns), tools=tuple(declared))


def _other_declaration(draw: Draw, tool: Tool) -> str:
    filled = {draw.pick(_KEYS[key]): value for key, value in tool.fill(draw).items()}
    return _declaration(draw, tool, ToolCall.of(draw.pick(tool.names), filled))


def _declaration(draw: Draw, tool: Tool, call: ToolCall) -> str:
    """A declaration that the call fits, sometimes with what client libraries add to a schema."""
    properties: dict[str, dict[str, str]] = {}
    has_titles, is_closed = draw.chance(0.15), draw.chance(0.2)
    for key, value in call.arguments:
        properties[key] = {"type": "integer" if isinstance(value, int) else "string"}
        if has_titles:
            properties[key] = {"title": key.capitalize(), **properties[key]}
    parameters: dict[str, object] = {"type": "object", "properties": properties, "required": list(properties)}
    if is_closed:
        parameters["additionalProperties"] = False
    return json.dumps({"name": call.name, "description": tool.description, "parameters": parameters})
