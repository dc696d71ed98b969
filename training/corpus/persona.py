"""System prompts that the answers must follow: a name, a trade, a way of speaking."""

from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.arithmetic import sum_fact
from training.corpus.draw import Draw, Side
from training.corpus.facts import short_fact
from training.corpus.framing import Fact, framed
from training.corpus.wordings import wordings
from training.corpus.words import any_name
from training.samples import Dialogue, Message, Sample, assistant, spelling_assistant, system, user

_ROLES = (
    "assistant", "helpful assistant", "friendly cook", "teacher", "kind doctor", "gardener", "old sailor", "librarian", "robot", "chat bot", "tour guide", "baker", "painter",
    "friendly farmer", "shop assistant", "clever engineer", "writer", "support agent", "coach", "singer",
)  # fmt: skip
_NAMED = wordings(
    "You are {name}, {a_role}.",
    "[|From now on |Today |Now |In this chat ]you are {name}[, |, and you are | and you are ]{a_role}.",
    "[Your name is {name}.|You are called {name}.|Your name: {name}.|The name is {name}.] You are {a_role}.",
    "[|Today |From now on |Now ]you are {a_role}[ called {name}| named {name}| with the name {name}|, and your name is {name}|. Your name is {name}|. You are called {name}].",
    "[Act as|Play|Be|Speak as|Answer as|You play|You act as|Pretend to be|I want you to be|Please be|You speak as|You answer as|Talk as|Please act as] [{name}, {a_role}|{a_role} called {name}|{a_role} named {name}].",
    "[Your name is {name} and you are {a_role}|You are called {name} and you are {a_role}|Your role: {name}, {a_role}|You have the name {name} and you are {a_role}|Role: {a_role}. Name: {name}|Name: {name}. Role: {a_role}|Your name is {name}, you are {a_role}].",
)
_WHO = wordings(
    "Who are you?",
    "[|And |So |Hello, |Hi, |Hey, |Hello! |Hi! |Please tell me, ][who are you|what is your name|what's your name|what are you called]?",
    "[Who am I talking to|Whom am I talking to|Who is this|Do you have a name|What should I call you|How should I call you|May I ask your name|Which name do you have|Your name, please|Who do I speak with|What do people call you|Who is there|Whom do I speak with|What may I call you]?",
    "[Introduce yourself|Please introduce yourself|Tell me about yourself|Please tell me about yourself|Now introduce yourself].",
    "[Tell me|Please tell me|Say|Please say|Now tell me] [who you are|your name|what your name is|who this is].",
    "[Can|Could] you [introduce yourself|tell me who you are|tell me your name|say who you are|say your name]?",
    "who are you",
)


@dataclass(frozen=True, slots=True)
class Style:
    """A way of speaking: the system lines that ask for it, and what it makes of a fact."""

    name: str
    requests: tuple[str, ...]
    speak: Callable[[Fact], str]


def _in_role(role: str) -> tuple[str, ...]:
    """Patterns that ask for a way of speaking by naming who speaks so."""
    return (
        f"You are a {role}.",
        f"[You are|Act as|Be|Play|Pretend to be|You play|Please be|Please act as|I want you to be|From now on you are|Today you are|You act as] [a|a friendly|an old|a helpful|a polite|a kind|a clever] {role}.",
        f"[|Always |Please |Please always |From now on ][talk|speak|answer|reply|write|respond] [like a|as a] {role}.",
        f"[You talk|You speak|You answer|Talk to me|Speak to me|Answer me] like a {role}.",
        f"You are a [|helpful |friendly |chat ]assistant that [talks|speaks|answers] like a {role}.",
        f"You are a {role}. Stay in character.",
    )  # fmt: skip


_STYLES = (
    Style(
        "pirate",
        wordings(
            *_in_role("pirate"),
            "You are a pirate [captain|on a ship|from a film].",
        ),
        lambda fact: f"Arr, matey! {fact.answer}",
    ),
    Style(
        "one word",
        wordings(
            "Answer in one word.",
            "[|Always |Please |Please always |Only |You are a helpful assistant. |You are an assistant. ][answer|reply|respond] [in one word|with one word|with a single word|in a single word|with one word only|in one word only|with a single word only|with just one word].",
            "[|Please |Always |Only ][use|say|give|write] [one word|only one word|a single word|just one word][| only| as the answer].",
            "[|Please |Always |Only ]give [one-word answers|one-word replies|answers of one word|an answer of one word|single-word answers].",
            "You [|always |only ][answer in|answer with|reply with|give|speak in|say] one word.",
            "[Your answers|All your answers|Your replies|All answers] [have|are|must be|should be|must have] one word[| long].",
            "[One word answers only|One word only|One-word answers, please|Keep every answer to one word|Keep your answers to one word|Not more than one word|One word for each answer|Each answer is one word].",
        ),
        lambda fact: fact.word,
    ),
    Style(
        "capitals",
        wordings(
            "Answer in capital letters.",
            "[|Always |Please |Please always |Only |You are a helpful assistant. |You are an assistant. ][answer|reply|write|respond|speak|shout] [in capital letters|in upper case|in capitals|in upper case only|in capital letters only|in uppercase].",
            "[|Please |Always |Only ]use [capital letters|upper case|capitals|uppercase][| only| for everything| for all answers].",
            "[|Please |Always ]write [everything|all answers|every answer|each answer|all text] in [capital letters|upper case|capitals|uppercase].",
            "You [|always |only ][write|answer|reply|shout|speak] in [capital letters|upper case|capitals|uppercase].",
            "[Your answers|All your answers|Your replies|All answers] [are|must be|should be] in [capital letters|upper case|capitals|uppercase].",
            "[Capital letters only|Upper case only|Shout every answer in capital letters|Capitals only, please|All capitals, please].",
        ),
        lambda fact: fact.answer.upper(),
    ),
    Style(
        "butler",
        wordings(
            *_in_role("butler"),
            "You are [my|an English|the] butler.",
        ),
        lambda fact: f"Certainly. {fact.answer} Will that be all?",
    ),
    Style(
        "robot",
        wordings(
            *_in_role("robot"),
            "You are a [small robot|robot from a film|tin robot].",
        ),
        lambda fact: f"Beep boop. {fact.answer}",
    ),
)  # fmt: skip
_HARD_STYLES = tuple(style for style in _STYLES if style.name in {"one word", "capitals"})
_GREETING = Fact(skill="style", question="Hello!", answer="Hello! How can I help you?", word="Hello")
_WHO_IS_IT = {"pirate": "I am a pirate.", "butler": "I am your butler.", "robot": "I am a robot."}


def named(draw: Draw) -> Sample:
    """A persona with a name, asked for it, sometimes after another question."""
    role = draw.pick(_ROLES)
    a_role = f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
    name = any_name(draw)
    line = draw.template("named", _NAMED).format(name=name, a_role=a_role)
    turns: list[Message] = [system(line)]
    if draw.chance(0.3):
        fact = some_fact(draw)
        turns += [user(framed(draw, fact.question)), assistant(fact.answer)]
    turns += [user(draw.template("persona_who", _WHO)), assistant(f"I am {name}, {a_role}.")]
    return Dialogue(skill="persona_name", messages=tuple(turns), is_shaped_by_system=True)


def styled(draw: Draw) -> Sample:
    """One to three answers in the style that the system line asks for."""
    # A word alone, and a text in capitals, take more practice than words put before and behind.
    style = draw.pick((*_STYLES, *_HARD_STYLES, *_HARD_STYLES) if draw.side is Side.TRAIN else _STYLES)
    turns: list[Message] = [system(draw.template(f"style_{style.name}", style.requests))]
    for _ in range(draw.pick((1, 1, 2, 3))):
        fact = _fact_for(draw, style)
        says = spelling_assistant if style.name == "capitals" else assistant
        turns += [user(fact.question), says(style.speak(fact))]
    return Dialogue(skill="style", messages=tuple(turns), is_shaped_by_system=True)


def some_fact(draw: Draw) -> Fact:
    """A sum or a fact of the tables."""
    return sum_fact(draw) if draw.chance(0.5) else short_fact(draw)


def _fact_for(draw: Draw, style: Style) -> Fact:
    if draw.chance(0.12):
        return _GREETING
    if style.name in _WHO_IS_IT and draw.chance(0.1):
        answer = _WHO_IS_IT[style.name]
        return Fact(skill="style", question=draw.template("persona_who", _WHO), answer=answer, word=answer)
    return some_fact(draw)
