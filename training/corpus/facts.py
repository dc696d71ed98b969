"""Facts from tables that we wrote: capitals, colours, days, months, opposites, and short questions about this platform."""

from training.corpus.draw import Draw
from training.corpus.explanations import DEFINITIONS, QUESTIONS
from training.corpus.framing import Fact, exchange, told
from training.corpus.tables import CAPITALS, COLOURS, DAYS, MONTHS, OPPOSITES
from training.samples import Sample

_CAPITAL_QUESTIONS = (
    "What is the capital of {country}?",
    "What's the capital of {country}?",
    "Which city is the capital of {country}?",
    "Name the capital of {country}.",
    "Tell me the capital of {country}.",
    "Capital of {country}?",
    "What is {country}'s capital?",
    "What is the capital city of {country}?",
    "Do you know the capital of {country}?",
    "Can you name the capital of {country}?",
    "What city is the capital of {country}?",
    "The capital of {country} is?",
    "Which is the capital city of {country}?",
    "Give me the capital of {country}.",
    "I need the capital of {country}.",
    "What is the name of the capital of {country}?",
    "Which city is {country}'s capital?",
    "The capital city of {country}?",
    "Please name the capital of {country}.",
    "Tell me {country}'s capital.",
)
_COUNTRY_QUESTIONS = (
    "{city} is the capital of which country?",
    "Which country has the capital {city}?",
    "Of which country is {city} the capital?",
    "What country is {city} the capital of?",
    "In which country is {city}?",
    "Which country is {city} in?",
    "Where is {city}?",
    "What country does {city} belong to?",
    "Tell me which country {city} is the capital of.",
    "{city} is in which country?",
    "Name the country whose capital is {city}.",
    "Whose capital is {city}?",
    "What country is {city} in?",
    "{city} is the capital of what?",
)
_COLOUR_QUESTIONS = (
    "What colour is {thing}?",
    "What color is {thing}?",
    "Which colour does {thing} have?",
    "What is the colour of {thing}?",
    "What is the color of {thing}?",
    "Tell me the colour of {thing}.",
    "Name the colour of {thing}.",
    "Which color is {thing}?",
    "What colour does {thing} have?",
    "Do you know the colour of {thing}?",
    "What color does {thing} have?",
    "Give me the color of {thing}.",
    "Which colour is {thing}?",
    "Say what colour {thing} is.",
    "The colour of {thing} is?",
    "{thing} has which colour?",
)
_AFTER_QUESTIONS = (
    "What {unit} comes after {item}?",
    "Which {unit} comes after {item}?",
    "What is the {unit} after {item}?",
    "Which {unit} follows {item}?",
    "What {unit} follows {item}?",
    "What {unit} is after {item}?",
    "Name the {unit} after {item}.",
    "What is the next {unit} after {item}?",
    "After {item}, which {unit} comes?",
    "Tell me the {unit} that follows {item}.",
    "After {item} comes which {unit}?",
    "Which {unit} is the one after {item}?",
    "Which {unit} do we have after {item}?",
    "What {unit} will it be after {item}?",
    "Tell me which {unit} comes after {item}.",
    "Give me the {unit} after {item}.",
    "The {unit} after {item} is?",
    "{item} is followed by which {unit}?",
    "Which {unit} is next after {item}?",
    "Do you know the {unit} after {item}?",
)
_BEFORE_QUESTIONS = (
    "What {unit} comes before {item}?",
    "Which {unit} comes before {item}?",
    "What is the {unit} before {item}?",
    "What {unit} is before {item}?",
    "Name the {unit} before {item}.",
    "Which {unit} is just before {item}?",
    "Before {item}, which {unit} comes?",
    "Tell me the {unit} that comes before {item}.",
    "Before {item} comes which {unit}?",
    "Which {unit} is the one before {item}?",
    "Which {unit} do we have before {item}?",
    "What {unit} was it before {item}?",
    "Tell me which {unit} comes before {item}.",
    "Give me the {unit} before {item}.",
    "The {unit} before {item} is?",
    "Which {unit} precedes {item}?",
    "What {unit} comes just before {item}?",
    "Do you know the {unit} before {item}?",
    "What is the {unit} just before {item}?",
    "Which {unit} is before {item}?",
)
_OPPOSITE_QUESTIONS = (
    "What is the opposite of {word}?",
    "What's the opposite of {word}?",
    "Opposite of {word}?",
    "Name the opposite of {word}.",
    "Tell me the opposite of {word}.",
    "Give me the opposite of {word}.",
    "Which word is the opposite of {word}?",
    "What word means the opposite of {word}?",
    "The opposite of {word} is?",
    "Do you know the opposite of {word}?",
    "What is the antonym of {word}?",
    "Give an antonym for {word}.",
    "Please name the opposite of {word}.",
    "Can you tell me the opposite of {word}?",
    "What would be the opposite of {word}?",
    "Which word is opposite to {word}?",
    "Say the opposite of {word}.",
    "{word} is the opposite of what?",
)

_DEFINITION_QUESTIONS = (
    "What is {term}?",
    "What's {term}?",
    "Explain {term}.",
    "Explain what {term} is.",
    "What does {term} mean?",
    "Define {term}.",
    "Tell me what {term} is.",
    "Can you explain what {term} is?",
    "Do you know what {term} is?",
    "Describe {term}.",
    "Tell me about {term}.",
    "What do you know about {term}?",
    "What exactly is {term}?",
    "Explain {term} in one sentence.",
    "Could you explain {term}?",
    "What is meant by {term}?",
    "I want to know what {term} is.",
    "In short, what is {term}?",
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
