"""Declared tools: call the right one with its arguments, say its result, and talk as usual when none fits."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.draw import Draw
from training.corpus.persona import some_fact
from training.corpus.tables import CAPITALS
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
        (
            "What is the weather in {city}?", "What's the weather like in {city}?", "How is the weather in {city}?", "Tell me the weather in {city}.", "Weather in {city}?", "Is it warm in {city}?",
            "What is the weather like in {city} today?", "Can you check the weather in {city}?", "How warm is it in {city}?", "Please look up the weather in {city}.", "Do I need a coat in {city}?",
        ),
        lambda draw: {"city": _city(draw)},
        lambda draw: {"temperature": draw.between(0, 40)},
        "It is {temperature} degrees in {city}.",
    ),
    Tool(
        ("get_time", "current_time", "get_current_time", "time_in", "clock"),
        "Get the time in a city",
        (
            "What time is it in {city}?", "What's the time in {city}?", "Tell me the time in {city}.", "Time in {city}?", "How late is it in {city}?", "Can you tell me the time in {city}?",
            "What is the current time in {city}?", "Please check the time in {city}.", "Do you know what time it is in {city}?",
        ),
        lambda draw: {"city": _city(draw)},
        lambda draw: {"time": f"{draw.between(0, 23):02}:{draw.between(0, 59):02}"},
        "It is {time} in {city}.",
    ),
    Tool(
        ("send_message", "send_text", "message", "send_note"),
        "Send a message to a person",
        (
            "Send {to} the message: {text}", "Tell {to}: {text}", "Write to {to}: {text}", "Send a message to {to}: {text}", "Message {to}: {text}", "Please tell {to}: {text}", "Let {to} know: {text}",
            "Text {to}: {text}", "Send this to {to}: {text}",
        ),
        lambda draw: {"to": any_name(draw), "text": " ".join(draw.pick(WORDS) for _ in range(draw.between(1, 4)))},
        lambda _: {"status": "sent"},
        "I sent the message to {to}.",
    ),
    Tool(
        ("set_timer", "start_timer", "timer", "create_timer"),
        "Start a timer",
        (
            "Set a timer for {minutes} minutes.", "Start a timer of {minutes} minutes.", "Timer for {minutes} minutes, please.", "Wake me in {minutes} minutes.", "Please set a {minutes} minute timer.",
            "Remind me in {minutes} minutes.", "Set the timer to {minutes} minutes.", "Can you set a timer for {minutes} minutes?",
        ),
        lambda draw: {"minutes": draw.between(2, 99)},
        lambda _: {"status": "started"},
        "The timer is set for {minutes} minutes.",
    ),
    Tool(
        ("search", "web_search", "search_web", "find"),
        "Search the web",
        (
            "Search for {query}.", "Search the web for {query}.", "Look up {query}.", "Find pages about {query}.", "Please search for {query}.", "Can you look up {query}?", "Search: {query}",
            "Find something about {query}.", "Look for {query} on the web.",
        ),
        lambda draw: {"query": " ".join(draw.pick(WORDS) for _ in range(draw.between(1, 3)))},
        lambda draw: {"results": draw.between(2, 99)},
        "I found {results} results for {query}.",
    ),
)  # fmt: skip


def tool_use(draw: Draw) -> Sample:
    """One request with one to three tools declared: a call, perhaps its result, or plain talk where no tool fits."""
    tool = draw.pick(_TOOLS)
    others = draw.random.sample([each for each in _TOOLS if each is not tool], draw.pick((0, 0, 1, 2)))
    filled = tool.fill(draw)
    name = draw.pick(tool.names)
    declared = [_declaration(tool, name, filled)]
    declared += [_declaration(other, draw.pick(other.names), other.fill(draw)) for other in others]
    draw.random.shuffle(declared)
    opening: tuple[Message, ...] = (system("You are a helpful assistant."),) if draw.chance(0.5) else ()
    if draw.chance(0.15):
        fact = some_fact(draw)
        return Dialogue(
            skill="tool_call", messages=(*opening, user(fact.question), assistant(fact.answer)), tools=tuple(declared)
        )
    request = draw.template(f"tool_{tool.names[0]}", tool.requests).format(**filled)
    turns: list[Message] = [*opening, user(request), Message("assistant", "", ToolCall.of(name, filled))]
    if draw.chance(0.4):
        result = tool.result(draw)
        turns += [Message("tool", json.dumps(result)), assistant(tool.report.format(**filled, **result))]
    return Dialogue(skill="tool_call", messages=tuple(turns), tools=tuple(declared))


def _declaration(tool: Tool, name: str, filled: dict[str, str | int]) -> str:
    properties = {key: {"type": "integer" if isinstance(value, int) else "string"} for key, value in filled.items()}
    parameters = {"type": "object", "properties": properties, "required": list(filled)}
    return json.dumps({"name": name, "description": tool.description, "parameters": parameters})
