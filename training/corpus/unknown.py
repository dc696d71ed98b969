"""Questions beyond what the model is taught; the honest answer is that it does not know."""

from training.corpus.arithmetic import question
from training.corpus.draw import Draw
from training.corpus.framing import exchange
from training.corpus.numbers import Operation, Sum
from training.corpus.tables import CAPITALS
from training.corpus.words import WORDS, made_up_name, random_name
from training.samples import Sample

I_DO_NOT_KNOW = "I don't know."
_QUESTIONS = (
    "Who won the {event} in {year}?", "Who won the {event}?", "Which team won the {event} in {year}?", "When was {person} born?", "When did {person} die?", "Who is {person}?", "Who was {person}?",
    "Where does {person} live?", "How old is {person}?", "What did {person} write?", "Who is the president of {country}?", "Who is the king of {country}?", "How many people live in {city}?",
    "What is the population of {country}?", "How large is {country}?", "What is the capital of {unreal}?", "Where is {unreal}?", "Which country is {unreal} in?", "What language is spoken in {unreal}?",
    "What will the weather be in {city} tomorrow?", "What is the weather in {city}?", "Will it rain tomorrow?", "Will it rain in {city} today?", "What time is it?", "What is the date today?",
    "What day is it today?", "How much does a {thing} cost?", "What is the price of a {thing}?", "What does a {thing} cost in {city}?", "How much is a {thing}?", "What did I eat yesterday?",
    "Where did I put my {thing}?", "What colour is my {thing}?", "How old am I?", "What am I thinking of?", "Where do I live?", "What is my phone number?", "What is my password?", "How many {thing}s do I have?",
    "Who invented the {thing}?", "When was the {thing} invented?", "How is a {thing} made?", "How do I repair a {thing}?", "How does a {thing} work?", "Why is a {thing} so expensive?",
    "What happened in {year}?", "What happened in {city} in {year}?", "What happened in {country} in {year}?", "Who ruled {country} in {year}?", "Translate \"{thing}\" into {language}.",
    "What is {thing} in {language}?", "How do you say {thing} in {language}?", "What is {big} times {huge}?", "What is {huge} plus {huge2}?", "How much is {huge} * {big}?", "What is {huge} divided by {big}?",
    "{huge} + {huge2}", "{huge} * {big}", "What is the square root of {big}?", "What is the {big}th prime number?", "What is the meaning of the word {unreal}?", "What is a {unreal}?", "What does {unreal} mean?",
    "What is the opposite of {unreal}?", "Explain the theory of {subject}.", "Explain {subject} to me.", "How does {subject} work?", "What do you think about {subject}?", "What is the history of {subject}?",
    "Which book about {subject} is the best?", "Write an essay about {subject}.", "Give me a recipe with {thing}s.", "What is the best {thing} in {city}?", "Where can I buy a {thing}?", "Who painted the {thing} of {city}?",
    "What is the phone number of {person}?", "What is the mail address of {person}?", "What stock should I buy?", "What is the price of gold?", "Who will win the next election in {country}?", "What will happen in {year}?",
    "How far is {city} from {city2}?", "How long does it take from {city} to {city2}?", "How high is the tower of {city}?", "What is the longest river in {country}?", "What do people eat in {country}?",
    "What is the flag of {country}?", "What money do they use in {country}?", "Which song was popular in {year}?", "Which film won a prize in {year}?", "Who sang the song about the {thing}?",
    "{unreal}", "{unreal} {unreal}?", "{unreal} {unreal} {unreal}", "What about {unreal}?", "Tell me about {unreal}.", "Do you know {unreal}?", "Tell me about {person}.", "Do you know {person}?",
)  # fmt: skip
_EVENTS = (
    "world cup",
    "football final",
    "election",
    "chess tournament",
    "song contest",
    "Tour de France",
    "Super Bowl",
    "Nobel Prize",
    "Olympic games",
    "tennis final",
    "marathon",
    "World Series",
)
_LANGUAGES = (
    "French",
    "German",
    "Spanish",
    "Latin",
    "Japanese",
    "Russian",
    "Italian",
    "Greek",
    "Finnish",
    "Arabic",
    "Korean",
    "Swedish",
)
_SUBJECTS = (
    "relativity",
    "quantum physics",
    "evolution",
    "economics",
    "chemistry",
    "politics",
    "philosophy",
    "gravity",
    "black holes",
    "religion",
    "law",
    "medicine",
    "opera",
    "chess",
    "inflation",
    "genetics",
    "architecture",
    "electricity",
    "democracy",
    "volcanoes",
)
_LAST_NAMES = (
    "Smith",
    "Brown",
    "Miller",
    "Weber",
    "Rossi",
    "Garcia",
    "Tanaka",
    "Novak",
    "Jensen",
    "Dubois",
    "Kowalski",
    "Popov",
    "Silva",
    "Murphy",
    "Berg",
    "Haas",
    "Moreau",
    "Costa",
    "Lindgren",
    "Okafor",
)
_FAMOUS = (
    "Napoleon",
    "Mozart",
    "Einstein",
    "Cleopatra",
    "Julius Caesar",
    "Beethoven",
    "Marie Curie",
    "Isaac Newton",
    "Leonardo da Vinci",
    "Gandhi",
    "Elon Musk",
    "Taylor Swift",
    "Sam Altman",
    "Picasso",
    "Darwin",
    "Lincoln",
)


def unknown(draw: Draw) -> Sample:
    """A question that no table answers."""
    if draw.chance(0.2):
        return exchange(draw, "unknown", question(draw, _beyond_range(draw)), I_DO_NOT_KNOW)
    template = draw.template("unknown", _QUESTIONS)
    country, city = draw.pick(CAPITALS)
    request = template.format(
        event=draw.template("event", _EVENTS), year=draw.between(1500, 2030), person=_person(draw), country=country, city=city, city2=draw.pick(CAPITALS)[1],
        unreal=draw.until("unreal", lambda: made_up_name(draw)), thing=draw.pick(WORDS[: WORDS.index("walk")]), language=draw.template("language", _LANGUAGES),
        subject=draw.template("subject", _SUBJECTS), big=draw.between(101, 9999), huge=draw.between(1000, 999_999), huge2=draw.between(1000, 999_999),
    )  # fmt: skip
    return exchange(draw, "unknown", request, I_DO_NOT_KNOW)


def _beyond_range(draw: Draw) -> Sum:
    """A sum with numbers that are plainly too large; the border itself is left out, it would only blur."""
    operation = draw.pick((Operation.ADD, Operation.SUBTRACT, Operation.MULTIPLY))
    top = draw.pick((999, 9999, 99_999))
    if operation is Operation.MULTIPLY and draw.chance(0.4):
        return Sum(draw.between(13, 99), operation, draw.between(13, 99))
    first, second = draw.between(101, top), draw.between(13, top)
    return Sum(first, operation, second) if draw.chance(0.7) else Sum(second, operation, first)


def _person(draw: Draw) -> str:
    if draw.chance(0.4):
        return draw.template("famous", _FAMOUS)
    return draw.until("person", lambda: f"{random_name(draw)} {draw.pick(_LAST_NAMES)}")
