"""Questions beyond what the model is taught; the honest answer is that it does not know."""

from training.corpus.arithmetic import question
from training.corpus.draw import Draw
from training.corpus.framing import exchange
from training.corpus.numbers import Operation, Sum
from training.corpus.tables import CAPITALS
from training.corpus.wordings import wordings
from training.corpus.words import WORDS, made_up_name, random_name
from training.samples import Sample

I_DO_NOT_KNOW = "I don't know."
_QUESTIONS = wordings(
    "Who won the {event} in {year}?",
    "[Who|Which team] [won|will win|lost] the {event}[| in {year}]?",
    "[When|Where|In which year] [was {person} born|did {person} die|did {person} live|was {person} married]?",
    "[Who is|Who was|What do you know about|Do you know|What is the age of|Where is] {person}?",
    "[Where does {person} live|How old is {person}|What did {person} write|What does {person} do|What is the job of {person}|Where does {person} work|How tall is {person}]?",
    "[Who is|Who was|What is the name of] the [president|king|queen|leader|mayor] of {country}?",
    "How [many people live in|large is|big is|old is] [{city}|{country}]?",
    "What is the population of [{city}|{country}]?",
    "[What is the capital of|Where is|Which country is|What language is spoken in|How do I get to|Who lives in|What is the flag of] {unreal}?",
    "What [will the weather be|is the weather|was the weather] [in {city}|in {city} tomorrow|tomorrow|today]?",
    "Will it [rain|snow|be warm|be cold] [tomorrow|in {city} today|today|in {city} tomorrow|next week]?",
    "[What time is it|What is the date today|What day is it today|What year is it|What time is it now|What is today's date]?",
    "[How much does a {thing} cost|How much is a {thing}|What is the price of a {thing}|What does a {thing} cost][?| in {city}?]",
    "[What did I eat|Where was I|What did I do|Whom did I meet|What did I buy] [yesterday|last week|this morning|today]?",
    "[Where did I put my {thing}|What colour is my {thing}|Where is my {thing}|How old is my {thing}|Who has my {thing}|Who took my {thing}]?",
    "[How old am I|What am I thinking of|Where do I live|What is my phone number|What is my password|How many {thing}s do I have|When is my birthday|What is my address|How tall am I]?",
    "[Who invented|When was|Who made|Where was] the {thing}[?| invented?]",
    "[How is a {thing} made|How do I repair a {thing}|How does a {thing} work|Why is a {thing} so expensive|How do I make a {thing}|How do I clean a {thing}|Why do I need a {thing}|How heavy is a {thing}]?",
    "What happened in [{year}|{city} in {year}|{country} in {year}|{city}|{country}]?",
    "Who [ruled|owned|visited|built] [{country}|{city}] in {year}?",
    '[Translate|Please translate] "{thing}" [into|to] {language}.',
    "[What is {thing} in|How do you say {thing} in|What does {thing} mean in|What is the word for {thing} in] {language}?",
    "[What is|How much is|Calculate|Compute] [{big} times {huge}|{huge} plus {huge2}|{huge} * {big}|{huge} divided by {big}|{huge} minus {huge2}|{huge} + {huge2}][?|.]",
    "[{huge} + {huge2}|{huge} * {big}|{huge} - {huge2}|{huge} / {big}]",
    "What is the [square root of {big}|{big}th prime number|square of {big}|half of {huge}|cube of {big}]?",
    "What is [the meaning of the word {unreal}|a {unreal}|the meaning of {unreal}|the opposite of {unreal}|{unreal}|an {unreal}]?",
    "What does [{unreal}|the word {unreal}] mean?",
    "[Explain|Please explain|Describe|Teach me] [the theory of {subject}|{subject} to me|{subject}|how {subject} works].",
    "[How does {subject} work|What do you think about {subject}|What is the history of {subject}|Why is {subject} important|Who invented {subject}|What is new in {subject}]?",
    "[Which|What] book about {subject} is the best?",
    "Write [an essay about|a book about|a letter about|an article about|a song about] {subject}.",
    "[Give me a recipe with {thing}s|Give me a list of films about {subject}|Recommend a book about {subject}|Name some films about {subject}|Which films are about {subject}|Tell me the news about {subject}].",
    "[What is the best {thing} in {city}|Where can I buy a {thing}|Who painted the {thing} of {city}|Where is the next {thing}|What is the best hotel in {city}]?",
    "What is the [phone number|mail address|address|birthday|job] of {person}?",
    "[What stock should I buy|What is the price of gold|Who will win the next election in {country}|What will happen in {year}|Will I be rich|Will I be happy|What will happen tomorrow]?",
    "How [far is {city} from {city2}|long does it take from {city} to {city2}|high is the tower of {city}|do I get from {city} to {city2}|far is it to {city}]?",
    "What [is the longest river in {country}|do people eat in {country}|is the flag of {country}|money do they use in {country}|language is spoken in {country}|is the highest mountain in {country}]?",
    "[Which song was popular|Which film won a prize|Which book was popular|Who was famous] in {year}?",
    "Who [sang|wrote|played] the [song|book|film] about the {thing}?",
    "{unreal}[|.|?|!]",
    "[{unreal} {unreal}|{unreal} {unreal} {unreal}|{unreal}, {unreal}][|.|?|!]",
    "[What about|Tell me about|Do you know|And what about|How about|Who is|Who knows] [{unreal}|{person}]?",
    "Tell me [about|something about|more about|all about] [{unreal}|{person}].",
)
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
