"""Facts from tables that we wrote: capitals, colours, days, months, opposites, and short questions about this platform."""

from training.corpus.draw import Draw
from training.corpus.explanations import DEFINITIONS, QUESTIONS
from training.corpus.framing import Fact, exchange, told
from training.corpus.tables import CAPITALS, COLOURS, DAYS, MONTHS, OPPOSITES
from training.corpus.wordings import wordings
from training.samples import Sample

_CAPITAL_QUESTIONS = wordings(
    "What is the capital of {country}?",
    "[What's|Which is|And what is|So what is] the capital[| city] of {country}?",
    "[What|Which] city is [the capital of {country}|{country}'s capital|the capital city of {country}]?",
    "[Name|Tell me|Give me|I need|Say|Please name|Please tell me] [the capital of {country}|the capital city of {country}|{country}'s capital].",
    "[Capital of {country}|The capital of {country}|{country}'s capital|The capital city of {country}][?| is?]",
    "[Do you know|Can you name|Can you tell me|Could you tell me|Could you name] the capital of {country}?",
    "What is [{country}'s capital|the capital city of {country}|the name of the capital of {country}]?",
)
_COUNTRY_QUESTIONS = wordings(
    "{city} is the capital of which country?",
    "{city} is [the capital of what|in which country|the capital of what country]?",
    "[Which|What] country [has the capital {city}|is {city} the capital of|is {city} in|does {city} belong to]?",
    "[Of which|In which] country is {city}[?| the capital?]",
    "[Where is|Whose capital is|Where do I find] {city}?",
    "[Tell me|Do you know|Say] which country {city} is [the capital of|in].",
    "[Name|Tell me|Give me] the country [whose capital is {city}|of which {city} is the capital].",
)
_COLOUR_QUESTIONS = wordings(
    "What colour is {thing}?",
    "[What|Which] [colour|color] [is {thing}|does {thing} have]?",
    "[What is|What's] the [colour|color] of {thing}?",
    "[Tell me|Name|Give me|Say|Please name] the [colour|color] of {thing}.",
    "[Tell me|Say|Do you know] [what|which] [colour|color] {thing} [is|has].",
    "Do you know the [colour|color] of {thing}?",
    "The [colour|color] of {thing} is?",
    "{thing} [has which colour|has what color|is which colour]?",
)
_AFTER_QUESTIONS = wordings(
    "What {unit} comes after {item}?",
    "[Which|What] {unit} [comes after|follows|is after|comes next after|is next after|is the one after|do we have after|will it be after|comes right after|succeeds] {item}?",
    "What is the [|next ]{unit} [after|following] {item}?",
    "[Name|Tell me|Give me|Say|Please name] the {unit} [after|that follows|that comes after|following|that succeeds] {item}.",
    "After {item}[, which {unit} comes| comes which {unit}|, what {unit} comes| follows which {unit}]?",
    "[Tell me|Do you know|Say] which {unit} [comes after|follows|is after] {item}.",
    "[The {unit} after {item} is|{item} is followed by which {unit}|{item} comes before which {unit}|{item} precedes which {unit}]?",
    "Do you know [the|what] {unit} [after|that comes after] {item}?",
)
_BEFORE_QUESTIONS = wordings(
    "What {unit} comes before {item}?",
    "[Which|What] {unit} [comes before|precedes|is before|comes just before|is just before|is the one before|do we have before|was it before|comes right before] {item}?",
    "What is the [|last ]{unit} [before|just before|preceding] {item}?",
    "[Name|Tell me|Give me|Say|Please name] the {unit} [before|that precedes|that comes before|just before|preceding] {item}.",
    "Before {item}[, which {unit} comes| comes which {unit}|, what {unit} comes|, which {unit} is it]?",
    "[Tell me|Do you know|Say] which {unit} [comes before|precedes|is before] {item}.",
    "[The {unit} before {item} is|{item} is preceded by which {unit}|{item} comes after which {unit}|{item} follows which {unit}]?",
    "Do you know [the|what] {unit} [before|that comes before] {item}?",
)
_OPPOSITE_QUESTIONS = wordings(
    "What is the opposite of {word}?",
    "[What's|And what is|What would be] the [opposite|antonym] of {word}?",
    "[Opposite of {word}|The opposite of {word} is|Antonym of {word}|The antonym of {word} is]?",
    "[Name|Tell me|Give me|Say|Please name] the [opposite|antonym] of {word}.",
    "[Which|What] word [is the opposite of|means the opposite of|is an antonym of|is opposite to] {word}?",
    "[Do you know|Can you tell me|Can you name|Could you name] [the opposite|an antonym] of {word}?",
    "[Give|Name|Tell me] an antonym [for|of] {word}.",
    "[What is an antonym of {word}|{word} is the opposite of what|{word} is the opposite of which word]?",
)

_DEFINITION_QUESTIONS = wordings(
    "What is {term}?",
    "[What's|What exactly is|And what is|In short, what is|So what is] {term}?",
    "[Explain|Define|Describe|Tell me about|Please explain|Please describe|Please define] {term}.",
    "[Explain|Describe|Define] {term} [in one sentence|briefly|in short|to me].",
    "[Explain|Tell me|I want to know|Please explain|Please tell me] what {term} is.",
    "What [does {term} mean|is meant by {term}|do you know about {term}|do we mean by {term}]?",
    "[Can|Could] you [explain|describe|define|tell me] what {term} is?",
    "[Can|Could] you [explain|describe|define] {term}?",
    "Do you know what {term} is?",
)


def capital(draw: Draw) -> Fact:
    """A country's capital, or the country of a capital."""
    country, city = draw.pick(CAPITALS)
    if draw.chance(0.7):
        question = draw.template("capital", _CAPITAL_QUESTIONS).format(country=country)
        return Fact(skill="capitals", question=question, answer=f"The capital of {country} is {city}.", word=city)
    question = draw.template("country", _COUNTRY_QUESTIONS).format(city=city)
    return Fact(
        skill="capitals",
        question=question,
        answer=f"{city} is the capital of {country}.",
        word=country.removeprefix("the "),
    )


def colour(draw: Draw) -> Fact:
    """What colour a thing has."""
    thing, name = draw.pick(COLOURS)
    question = draw.template("colour", _COLOUR_QUESTIONS).format(thing=thing)
    return Fact(skill="colours", question=question, answer=f"{thing[0].upper()}{thing[1:]} is {name}.", word=name)


def calendar(draw: Draw) -> Fact:
    """The day or month before or after another."""
    unit, names = draw.pick((("day", DAYS), ("month", MONTHS)))
    place = draw.between(0, len(names) - 1)
    if draw.chance(0.55):
        question = draw.template("after", _AFTER_QUESTIONS).format(unit=unit, item=names[place])
        word, relation = names[(place + 1) % len(names)], "after"
    else:
        question = draw.template("before", _BEFORE_QUESTIONS).format(unit=unit, item=names[place])
        word, relation = names[place - 1], "before"
    return Fact(skill="calendar", question=question, answer=f"{word} comes {relation} {names[place]}.", word=word)


def opposite(draw: Draw) -> Fact:
    """A word's opposite."""
    pair = draw.pick(OPPOSITES)
    word, other = pair if draw.chance(0.5) else pair[::-1]
    written = draw.pick((word, word, f'"{word}"', f"'{word}'"))
    question = draw.template("opposite", _OPPOSITE_QUESTIONS).format(word=written)
    return Fact(skill="opposites", question=question, answer=f"The opposite of {word} is {other}.", word=other)


def short_fact(draw: Draw) -> Fact:
    """A fact that has a short answer: any of the tables with one word to say."""
    return draw.pick((capital, colour, calendar, opposite))(draw)


def capitals(draw: Draw) -> Sample:
    """Capitals in plain talk."""
    return told(draw, capital(draw))


def colours(draw: Draw) -> Sample:
    """Colours in plain talk."""
    return told(draw, colour(draw))


def calendars(draw: Draw) -> Sample:
    """Days and months in plain talk."""
    return told(draw, calendar(draw))


def opposites(draw: Draw) -> Sample:
    """Opposites in plain talk."""
    return told(draw, opposite(draw))


def explanation(draw: Draw) -> Sample:
    """What a term means, or a question about the world, with the answer that we wrote."""
    if draw.chance(0.6):
        terms, answer = draw.pick(DEFINITIONS)
        question = draw.template("definition", _DEFINITION_QUESTIONS).format(term=draw.pick(terms))
        return exchange(draw, "facts", question, answer)
    questions, answer = draw.pick(QUESTIONS)
    return exchange(draw, "facts", draw.template(f"fact_{answer}", questions), answer)
