"""Short sentences turned into JSON with the keys that the request names."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.draw import Draw
from training.corpus.tables import CAPITALS, DAYS
from training.corpus.words import WORDS, any_name, made_up_name
from training.samples import Dialogue, Message, Sample, assistant, system, user

_REQUESTS = (
    "Extract {keys} as JSON: {text}", "Return JSON with {keys}: {text}", "Give me {keys} as JSON. {text}", "Write {keys} as JSON: {text}", "Answer in JSON with {keys}: {text}",
    "Make JSON with the keys {keys} from: {text}", "Extract the {keys} from this sentence as JSON: {text}", "Turn this into JSON with {keys}: {text}", "JSON with {keys}: {text}",
    "{text} Extract {keys} as JSON.", "{text} Give {keys} as JSON.", "{text} Return {keys} in JSON.", "Find {keys} and answer in JSON: {text}", "Read this and return JSON with {keys}: {text}",
    "Please extract {keys} as JSON: {text}", "From the text, extract {keys} as JSON: {text}", "Convert to JSON with {keys}: {text}", "{text} Put {keys} into JSON.",
    "{text} Write {keys} as JSON.", "{text} Answer with {keys} as JSON.", "{text} I need {keys} as JSON.", "Put {keys} into JSON: {text}", "Get {keys} from this text as JSON: {text}", "As JSON, give {keys}: {text}",
    "Find {keys} in this text and write JSON: {text}", "I want {keys} as JSON: {text}", "Create JSON with {keys} from this: {text}", "Take {keys} from the sentence and return JSON: {text}", "Write JSON with {keys}: {text}",
    "Please return {keys} as JSON: {text}", "{text} Please return JSON with {keys}.", "{text} Find {keys} and write them as JSON.", "Can you give {keys} as JSON? {text}", "Parse {keys} into JSON: {text}",
    "JSON of {keys}, please: {text}", "List {keys} as JSON: {text}",
)  # fmt: skip
_SYSTEM = (
    "You answer in JSON.",
    "Answer in JSON.",
    "You are a helpful assistant.",
    "You extract data as JSON.",
    "Reply with JSON only.",
    "You are a data extraction assistant.",
    "Output JSON.",
    "Always answer in JSON.",
    "Write JSON only.",
    "You reply in JSON.",
    "You turn text into JSON.",
    "Return JSON.",
    "All answers are JSON.",
    "You are an assistant that writes JSON.",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A sentence with places in it, and what fills each place."""

    sentences: tuple[str, ...]
    fill: Callable[[Draw], dict[str, str | int]]


def _city(draw: Draw) -> str:
    return made_up_name(draw) if draw.chance(0.2) else draw.pick(CAPITALS)[1]


_SCENES = (
    Scene(
        (
            "{name} is {age} years old and lives in {city}.", "{name} lives in {city} and is {age} years old.", "{name}, {age}, lives in {city}.", "My friend {name} from {city} is {age}.",
            "I am {name}, I am {age} and I live in {city}.", "In {city} lives {name}, who is {age} years old.", "{name} is {age} and comes from {city}.", "At the age of {age}, {name} moved to {city}.",
            "{name} came from {city} and is {age} now.", "There is {name}, {age} years old, from {city}.", "My name is {name}. I am {age} and from {city}.", "{name} of {city} is {age} years old.", "{name} moved to {city} when {age} years old.",
            "At {age}, {name} still lives in {city}.", "In {city} I met {name}, who is {age}.", "{age} years old, {name} lives in {city}.", "The {age} year old {name} comes from {city}.", "From {city} comes {name}, {age} years old.",
            "This is {name} from {city}, {age} years old.", "{city} is the home of {name}, who is {age}.",
        ),
        lambda draw: {"name": any_name(draw), "age": draw.between(1, 99), "city": _city(draw)},
    ),
    Scene(
        (
            "{name} bought {quantity} {item}s for {price} dollars.", "{name} paid {price} dollars for {quantity} {item}s.", "For {price} dollars {name} got {quantity} {item}s.",
            "{name} ordered {quantity} {item}s and paid {price} dollars.", "{quantity} {item}s were sold to {name} for {price} dollars.", "{name} sold {quantity} {item}s for {price} dollars.",
            "{name} got {quantity} {item}s and paid {price} dollars.", "{name} has {quantity} {item}s for {price} dollars.", "The {quantity} {item}s of {name} cost {price} dollars.", "{price} dollars is what {name} paid for {quantity} {item}s.",
            "We sold {quantity} {item}s to {name} for {price} dollars.", "Order of {name}: {quantity} {item}s, {price} dollars.", "{quantity} {item}s for {name} cost {price} dollars.", "Please send {quantity} {item}s to {name} for {price} dollars.",
            "{name} wants {quantity} {item}s for {price} dollars.",
        ),
        lambda draw: {"name": any_name(draw), "item": draw.pick(WORDS[:60]), "quantity": draw.between(2, 20), "price": draw.between(1, 500)},
    ),
    Scene(
        (
            "{name} has a meeting on {day} at {hour} o'clock.", "The meeting with {name} is on {day} at {hour} o'clock.", "On {day} at {hour} o'clock {name} comes to visit.",
            "Call {name} on {day} at {hour} o'clock.", "Lunch with {name}, {day}, {hour} o'clock.", "{name} will arrive on {day} at {hour} o'clock.",
            "Meet {name} on {day} at {hour} o'clock.", "{name} comes on {day} at {hour} o'clock.", "On {day} I meet {name} at {hour} o'clock.", "Dinner with {name} is on {day} at {hour} o'clock.", "At {hour} o'clock on {day} {name} will call.",
            "{day} at {hour} o'clock: a talk with {name}.", "Visit {name} on {day} at {hour} o'clock.", "See {name} at {hour} o'clock on {day}.", "{name} calls at {hour} o'clock on {day}.", "Remember the party of {name} on {day} at {hour} o'clock.",
            "The train of {name} leaves on {day} at {hour} o'clock.",
        ),
        lambda draw: {"name": any_name(draw), "day": draw.pick(DAYS), "hour": draw.between(1, 12)},
    ),
    Scene(
        (
            "The {item} is {colour} and costs {price} dollars.", "A {colour} {item} costs {price} dollars.", "I sell a {colour} {item} for {price} dollars.", "This {colour} {item} was {price} dollars.",
            "For {price} dollars you get a {colour} {item}.", "There is a {colour} {item} for {price} dollars.",
            "The {colour} {item} costs {price} dollars.", "I bought a {colour} {item} for {price} dollars.", "Buy a {colour} {item} for {price} dollars.", "My {item} is {colour} and was {price} dollars.", "{price} dollars for a {colour} {item}.",
            "A {item} that is {colour} costs {price} dollars.", "She sold a {colour} {item} for {price} dollars.", "You can have the {colour} {item} for {price} dollars.", "We have a {colour} {item}. It costs {price} dollars.",
            "For a {colour} {item} I paid {price} dollars.",
        ),
        lambda draw: {"item": draw.pick(WORDS[:60]), "colour": draw.pick(("red", "green", "blue", "yellow", "white", "black", "brown", "grey")), "price": draw.between(1, 500)},
    ),
)  # fmt: skip


def extraction(draw: Draw) -> Sample:
    """One sentence and the JSON of the keys that were asked for, in the order in which they were asked."""
    scene = draw.pick(_SCENES)
    filled = scene.fill(draw)
    text = draw.template("scene", scene.sentences).format(**filled)
    keys = list(filled) if draw.chance(0.4) else draw.random.sample(list(filled), draw.between(1, len(filled)))
    request = draw.template("extract", _REQUESTS).format(keys=_listed(keys), text=text)
    answer = json.dumps({key: filled[key] for key in keys}, ensure_ascii=False)
    opening: tuple[Message, ...] = (system(draw.template("json_system", _SYSTEM)),) if draw.chance(0.5) else ()
    return Dialogue(skill="json", messages=(*opening, user(request), assistant(answer)), is_shaped_by_system=True)


def _listed(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{', '.join(keys[:-1])} and {keys[-1]}"
