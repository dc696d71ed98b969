"""Short sentences turned into JSON with the keys that the request names."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.draw import Draw, Side
from training.corpus.tables import CAPITALS, DAYS
from training.corpus.words import WORDS, made_up_word, random_name
from training.samples import Dialogue, Message, Sample, assistant, system, user

_REQUESTS = (
    "Extract {keys} as JSON: {text}", "Return JSON with {keys}: {text}", "Give me {keys} as JSON. {text}", "Write {keys} as JSON: {text}", "Answer in JSON with {keys}: {text}",
    "Make JSON with the keys {keys} from: {text}", "Extract the {keys} from this sentence as JSON: {text}", "Turn this into JSON with {keys}: {text}", "JSON with {keys}: {text}",
    "{text} Extract {keys} as JSON.", "{text} Give {keys} as JSON.", "{text} Return {keys} in JSON.", "Find {keys} and answer in JSON: {text}", "Read this and return JSON with {keys}: {text}",
    "Please extract {keys} as JSON: {text}", "From the text, extract {keys} as JSON: {text}", "Convert to JSON with {keys}: {text}", "{text} Put {keys} into JSON.",
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
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A sentence with places in it, and what fills each place."""

    sentences: tuple[str, ...]
    fill: Callable[[Draw], dict[str, str | int]]


def _name(draw: Draw) -> str:
    return made_up_word(draw) if draw.side is Side.TRAIN and draw.chance(0.35) else random_name(draw)


def _city(draw: Draw) -> str:
    return made_up_word(draw) if draw.chance(0.2) else draw.pick(CAPITALS)[1]


_SCENES = (
    Scene(
        (
            "{name} is {age} years old and lives in {city}.", "{name} lives in {city} and is {age} years old.", "{name}, {age}, lives in {city}.", "My friend {name} from {city} is {age}.",
            "I am {name}, I am {age} and I live in {city}.", "In {city} lives {name}, who is {age} years old.", "{name} is {age} and comes from {city}.", "At the age of {age}, {name} moved to {city}.",
        ),
        lambda draw: {"name": _name(draw), "age": draw.between(1, 99), "city": _city(draw)},
    ),
    Scene(
        (
            "{name} bought {quantity} {item}s for {price} dollars.", "{name} paid {price} dollars for {quantity} {item}s.", "For {price} dollars {name} got {quantity} {item}s.",
            "{name} ordered {quantity} {item}s and paid {price} dollars.", "{quantity} {item}s were sold to {name} for {price} dollars.", "{name} sold {quantity} {item}s for {price} dollars.",
        ),
        lambda draw: {"name": _name(draw), "item": draw.pick(WORDS[:60]), "quantity": draw.between(2, 20), "price": draw.between(1, 500)},
    ),
    Scene(
        (
            "{name} has a meeting on {day} at {hour} o'clock.", "The meeting with {name} is on {day} at {hour} o'clock.", "On {day} at {hour} o'clock {name} comes to visit.",
            "Call {name} on {day} at {hour} o'clock.", "Lunch with {name}, {day}, {hour} o'clock.", "{name} will arrive on {day} at {hour} o'clock.",
        ),
        lambda draw: {"name": _name(draw), "day": draw.pick(DAYS), "hour": draw.between(1, 12)},
    ),
    Scene(
        (
            "The {item} is {colour} and costs {price} dollars.", "A {colour} {item} costs {price} dollars.", "I sell a {colour} {item} for {price} dollars.", "This {colour} {item} was {price} dollars.",
            "For {price} dollars you get a {colour} {item}.", "There is a {colour} {item} for {price} dollars.",
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
