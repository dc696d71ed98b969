"""Short sentences turned into JSON with the keys that the request names."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.draw import Draw
from training.corpus.tables import CAPITALS, DAYS
from training.corpus.wordings import wordings
from training.corpus.words import WORDS, any_name, made_up_name
from training.samples import Dialogue, Message, Sample, assistant, system, user

_REQUESTS = wordings(
    "Extract {keys} as JSON: {text}",
    "[|Please |Now ][extract|give|write|return|find|list|get|take|read|parse] [|the ]{keys} [as|in|into] JSON: {text}",
    "[|Please ][extract|find|get|take|read] {keys} [from this|from the text|from this text|from this sentence|from the sentence|from the following] [as JSON|and answer in JSON|and return JSON|and write JSON]: {text}",
    "[|From the text, |From this, |As JSON, ][extract|give|give me|list|find] {keys} as JSON: {text}",
    "[Return|Write|Make|Create|Give me|Answer in|Output|Reply with|I need|I want|Please return|Produce] JSON [with|of|for] [|the keys |the fields ]{keys}[| from this]: {text}",
    "[JSON with|JSON of|JSON for|As JSON|In JSON] {keys}[|, please]: {text}",
    "[Convert|Turn|Put|Change|Make] this [to|into] JSON with [|the keys |the fields ]{keys}: {text}",
    "[Put|Bring|Turn|Parse] {keys} into JSON: {text}",
    "{text} [Extract|Give|Give me|Return|Write|Find|List|Please extract|Please return|Please give|I need|I want|Now extract] [|the ]{keys} [as|in] JSON.",
    "{text} [Put|Turn|Parse|Please put] {keys} into JSON.",
    "{text} [Answer|Please answer|Reply] with {keys} as JSON.",
    "{text} [Return|Write|Please return|Please write|Make|Give me] JSON with [|the keys ]{keys}.",
    "[Can|Could] you [give|extract|write|return|find] {keys} as JSON? {text}",
)
# How constrained answers are served: no space after a comma or a colon.
_COMPACT = (",", ":")
# The keys stand in the system line, and the user sends the bare text.
_SYSTEM_REQUESTS = wordings(
    "Extract {keys} as JSON.",
    "[|You |Always ][extract|return|give|write|find|list] [|the ]{keys} [|of the text |from the text |of each text |from each message ][as|in] JSON.",
    "[Answer|Always answer|Reply|You answer|You reply|Please answer] [in|with] JSON [|that has |that holds |with |with the keys |with the fields ]{keys}.",
    "[Return|Write|Output|Always return|You return] JSON with [|the keys |the fields ]{keys}.",
    "You [turn|convert|change] [text|each text|each message|messages] into JSON with [|the keys |the fields ]{keys}.",
)
_SCHEMA_REQUESTS = wordings(
    "Answer in JSON with this schema: {schema}",
    "[Answer|Reply|Always answer|Respond] [in|with] JSON [that follows|of|that fits|with|after|according to] [this|the|the following] schema: {schema}",
    "[Return|Write|Output|Extract] JSON [that follows|of|that fits|with|after|according to] [this|the|the following] schema: {schema}",
    "[Use|Follow|Keep to|Fill] [this|the|the following] [|JSON ]schema: {schema}",
    "[JSON schema|Schema|Your answer follows this schema|Extract the data with this schema]: {schema}",
)
_SYSTEM = wordings(
    "You answer in JSON.",
    "[Answer|Reply|Respond|Always answer|Please answer|Only answer|You reply|You always answer] [in|with] JSON[| only].",
    "You are [a helpful assistant|an assistant|a data extraction assistant|an assistant that writes JSON|a helpful assistant that answers in JSON].",
    "[You extract|Extract|You read] [data|information|facts] [as|and write] JSON.",
    "[Output|Return|Write|You write] JSON[| only].",
    "[All answers are|All your answers are|Your answer is] JSON.",
    "You turn text into JSON.",
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
        wordings(
            "{name} is {age} years old and lives in {city}.",
            "{name} [lives in|comes from|is from|came from|works in|was born in|stays in|has a house in|likes] {city} and is {age}[| years old| now].",
            "{name}[, {age}, | ({age}) |, who is {age}, |, aged {age}, |, {age} years old, |, now {age}, ][lives in|comes from|is from|works in|has a house in] {city}.",
            "{name} is {age}[| years old| years of age] and [comes from|lives in|is from|works in|has a house in|likes] {city}.",
            "[My friend|My brother|My sister|Our neighbour|The baker|The teacher|A friend] {name} [from|of|in] {city} is {age}[| years old].",
            "[I am|My name is|I'm|They call me] {name}[, I am {age} and|. I am {age} and|, {age} years old, and|. I am {age} years old and] I [live in|come from|work in] {city}.",
            "In {city} [lives|works|there is|I met|we met|I saw|there lives] {name}, [who is {age}|who is {age} years old|{age} years old|aged {age}].",
            "[At|At the age of|When] {age}, {name} [moved to|lives in|still lives in|came to|went to|works in] {city}.",
            "{name} [moved to|came to|went to|left] {city} [when {age} years old|at {age}|at the age of {age}|and is {age} now].",
            "{city} is [the home|the town|the city|the birthplace] of {name}, [who is {age}|who is {age} years old|{age} years old|aged {age}].",
            "[From|Out of] {city} comes {name}, [who is {age}|{age} years old|aged {age}].",
            "[This is|Here is|There is|Meet] {name}[ from|, from| of] {city}, [{age} years old|who is {age}|aged {age}].",
            "[The {age} year old|{age} years old,|Aged {age},|Now {age},] {name} [lives in|comes from|is from|works in] {city}.",
            "[Name|Person|User|Customer]: {name}[, |; |. ][age|Age]: {age}[, |; |. ][city|City|home]: {city}[|.]",
            "{name} [of|from] {city} [is|is now|turned|became] {age}[| years old].",
            "[People in|Everybody in|All in|They in] {city} know {name}, [who is {age}|{age} years old|aged {age}].",
        ),
        lambda draw: {"name": any_name(draw), "age": draw.between(1, 99), "city": _city(draw)},
    ),
    Scene(
        wordings(
            "{name} bought {quantity} {item}s for {price} dollars.",
            "{name} [bought|sold|got|ordered|wants|has|needs|took|found|sent] {quantity} {item}s [for|at|and paid|, for] {price} dollars[.| in all.]",
            "{name} [paid|gave|spent|wants to pay|has paid] {price} dollars [for|on] {quantity} {item}s.",
            "[For|At|With] {price} dollars {name} [got|bought|sold|ordered|took|has] {quantity} {item}s.",
            "{quantity} {item}s [were sold to|went to|were bought by|are for|were sent to|were sold by|came from] {name} for {price} dollars.",
            "[The|These|All] {quantity} {item}s [of|for|from] {name} [cost|were|are worth] {price} dollars.",
            "{price} dollars [is what {name} paid for|was paid by {name} for|is what {name} wants for] {quantity} {item}s.",
            "[We|I|They|You] [sold|sent|gave|brought] {quantity} {item}s to {name} for {price} dollars.",
            "[We|I|They] [sold|sent|gave|brought] {name} {quantity} {item}s for {price} dollars.",
            "[Order of|Order from|Bill for|Invoice for|Sale to] {name}: {quantity} {item}s[, | for | at ]{price} dollars.",
            "{quantity} {item}s [for|from|to] {name} [cost|, price|were] {price} dollars.",
            "[Please send|Send|Please sell|Sell|Bring] {quantity} {item}s to {name} for {price} dollars.",
            "[Yesterday|Today|On Monday|This morning|Last week] {name} [bought|sold|ordered|got] {quantity} {item}s for {price} dollars.",
            "[Name|Customer|Buyer]: {name}[, |; ]item: {item}[, |; ]quantity: {quantity}[, |; ]price: {price}[|.]",
        ),
        lambda draw: {"name": any_name(draw), "item": draw.pick(WORDS[:60]), "quantity": draw.between(2, 20), "price": draw.between(1, 500)},
    ),
    Scene(
        wordings(
            "{name} has a meeting on {day} at {hour} o'clock.",
            "{name} [comes|will come|arrives|will arrive|calls|will call|leaves|visits us|has a party|has a lesson|has a call|starts work] on {day} at {hour} o'clock.",
            "{name} [comes|will come|arrives|will arrive|calls|will call|leaves] at {hour} o'clock on {day}.",
            "[The|A|My|Our|Your] [meeting|lunch|dinner|talk|call|party|lesson|appointment] with {name} is on {day} at {hour} o'clock.",
            "[On {day} at {hour} o'clock|At {hour} o'clock on {day}|{day} at {hour} o'clock|On {day}, at {hour} o'clock,] [{name} comes to visit|I meet {name}|{name} will call|we see {name}|{name} has a meeting|there is a talk with {name}|you meet {name}].",
            "[Call|Meet|See|Visit|Remember to call|Please call|Please meet|Do not forget] {name} [on {day} at {hour} o'clock|at {hour} o'clock on {day}].",
            "[Lunch|Dinner|Meeting|Call|A talk|Breakfast|Appointment] with {name}[, | on |: ]{day}[, | at |, at ]{hour} o'clock.",
            "[The train|The bus|The ship|The plane|The party|The lesson|The meeting] of {name} [leaves|starts|begins|is] on {day} at {hour} o'clock.",
            "On {day} [I meet|we visit|you see|I see|they call|I call] {name} at {hour} o'clock.",
            "[Remember|Do not forget|Note] the [party|meeting|lesson|talk] of {name} on {day} at {hour} o'clock.",
            "[{day}, {hour} o'clock|{day} at {hour}|{hour} o'clock, {day}]: [a talk with|meeting with|lunch with|call] {name}.",
        ),
        lambda draw: {"name": any_name(draw), "day": draw.pick(DAYS), "hour": draw.between(1, 12)},
    ),
    Scene(
        wordings(
            "The {item} is {colour} and costs {price} dollars.",
            "[The|A|This|My|That|One|Our|Her|His] {colour} {item} [costs|was|cost|is|sells for|goes for|is worth] {price} dollars.",
            "[The|This|My|That|Our|Her] {item} is {colour} and [costs|was|cost|sells for|is worth] {price} dollars.",
            "[I|We|She|He|They|You] [sell|bought|sold|found|want|got|have|buy|saw] [a|the|this|one] {colour} {item} for {price} dollars.",
            "For {price} dollars [you get|I bought|we sell|you can have|she got|I sell|there is] [a|the|one] {colour} {item}.",
            "[There is|Here is|Buy|Take|Look at|Please buy] [a|the|this] {colour} {item} for {price} dollars.",
            "{price} dollars [for|is the price of|buys|is what I paid for|was paid for] [a|the|this] {colour} {item}.",
            "[A|The|This] {item} that is {colour} [costs|was|sells for|is worth] {price} dollars.",
            "[You can have|We have|Do you want|Who wants] [the|a|this] {colour} {item}[ for|. It costs|. It is|: only] {price} dollars.",
            "For [a|the|this] {colour} {item} [I|we|she|he|they] [paid|gave|want|got] {price} dollars.",
            "[Item|Thing|Product]: {item}[, |; ]colour: {colour}[, |; ]price: {price}[| dollars].",
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
    wanted = {key: filled[key] for key in keys}
    answer = json.dumps(wanted, ensure_ascii=False, separators=_COMPACT)
    return Dialogue(skill="json", messages=(*_asked(draw, wanted, text), assistant(answer)), is_shaped_by_system=True)


def _asked(draw: Draw, wanted: dict[str, str | int], text: str) -> tuple[Message, ...]:
    """The request's turns: keys beside the text, or keys or a schema in the system turn before the bare text."""
    keys = _listed(list(wanted))
    if draw.chance(0.15):
        return system(draw.template("json_system_keys", _SYSTEM_REQUESTS).format(keys=keys)), user(text)
    if draw.chance(0.1):
        asked = draw.template("json_schema", _SCHEMA_REQUESTS).format(schema=_schema(wanted))
        return (system(asked), user(text)) if draw.chance(0.5) else (user(f"{asked}\n{text}"),)
    request = draw.template("extract", _REQUESTS).format(keys=keys, text=text)
    opening: tuple[Message, ...] = (system(draw.template("json_system", _SYSTEM)),) if draw.chance(0.5) else ()
    return (*opening, user(request))


def _schema(wanted: dict[str, str | int]) -> str:
    properties = {key: {"type": "integer" if isinstance(value, int) else "string"} for key, value in wanted.items()}
    return json.dumps({"type": "object", "properties": properties, "required": list(wanted)})


def _listed(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{', '.join(keys[:-1])} and {keys[-1]}"
