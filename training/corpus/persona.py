"""System prompts that the answers must follow: a name, a trade, a way of speaking."""

from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.arithmetic import sum_fact
from training.corpus.draw import Draw, Side
from training.corpus.facts import short_fact
from training.corpus.framing import Fact, framed
from training.corpus.words import made_up_word, random_name
from training.samples import Dialogue, Message, Sample, assistant, system, user

_ROLES = (
    "assistant", "helpful assistant", "friendly cook", "teacher", "kind doctor", "gardener", "old sailor", "librarian", "robot", "chat bot", "tour guide", "baker", "painter",
    "friendly farmer", "shop assistant", "clever engineer", "writer", "support agent", "coach", "singer",
)  # fmt: skip
_NAMED = (
    "You are {name}, {a_role}.", "Your name is {name}. You are {a_role}.", "You are {a_role} called {name}.", "You are {a_role} named {name}.", "You are {name} and you are {a_role}.",
    "Act as {name}, {a_role}.", "You play {name}, {a_role}.", "From now on you are {name}, {a_role}.", "Your name is {name} and you are {a_role}.", "You are called {name}. You are {a_role}.",
)  # fmt: skip
_WHO = (
    "Who are you?", "What is your name?", "What's your name?", "Tell me who you are.", "Introduce yourself.", "Who am I talking to?", "Please introduce yourself.", "Hello, who are you?",
    "Who is this?", "What should I call you?", "Hi, who are you?", "Do you have a name?", "Tell me your name.", "Can you introduce yourself?", "Hi! What is your name?", "who are you",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """A way of speaking: the system lines that ask for it, and what it makes of a fact."""

    name: str
    requests: tuple[str, ...]
    speak: Callable[[Fact], str]


_STYLES = (
    Style(
        "pirate",
        (
            "You are a pirate.", "Talk like a pirate.", "You are a pirate captain.", "Speak like a pirate.", "Answer like a pirate.", "You are an old pirate.", "Act as a pirate.",
            "Always talk like a pirate.", "You are a helpful pirate.", "Reply as a pirate would.", "You are a friendly pirate.", "You are a pirate. Stay in character.",
        ),
        lambda fact: f"Arr, matey! {fact.answer}",
    ),
    Style(
        "one word",
        (
            "Answer in one word.", "Answer with one word.", "Always answer in one word.", "Reply with a single word.", "Use one word only.", "One word answers only.", "Reply in one word.",
            "You answer in one word.", "Answer with a single word only.", "Give one-word answers.", "Only answer with one word.", "Respond with one word.",
            "You are a helpful assistant. Answer in one word.",
        ),
        lambda fact: fact.word,
    ),
    Style(
        "capitals",
        (
            "Answer in capital letters.", "Answer in upper case.", "Write everything in capital letters.", "Always write in upper case.", "Use capital letters only.", "Reply in capitals.",
            "You always shout in capital letters.", "Reply in upper case only.", "Write in upper case.", "Respond in capital letters.",
        ),
        lambda fact: fact.answer.upper(),
    ),
    Style(
        "butler",
        (
            "You are a butler.", "Talk like a butler.", "You are a polite butler.", "Answer like a butler.", "Speak like a butler.", "Act as a butler.", "You are an English butler.",
            "Always talk like a butler.", "Reply as a butler would.", "You are my butler.",
        ),
        lambda fact: f"Certainly. {fact.answer} Will that be all?",
    ),
    Style(
        "robot",
        (
            "You are a robot.", "Talk like a robot.", "You are a friendly robot.", "Answer like a robot.", "Speak like a robot.", "Act as a robot.", "You are a small robot.",
            "Always talk like a robot.", "Reply as a robot would.", "You are an old robot.",
        ),
        lambda fact: f"Beep boop. {fact.answer}",
    ),
)  # fmt: skip
_GREETING = Fact(skill="style", question="Hello!", answer="Hello! How can I help you?", word="Hello")
_WHO_IS_IT = {"pirate": "I am a pirate.", "butler": "I am your butler.", "robot": "I am a robot."}


def named(draw: Draw) -> Sample:
    """A persona with a name, asked for it, sometimes after another question."""
    role = draw.pick(_ROLES)
    a_role = f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
    # Made-up names teach copying; the held-out side has real names only.
    name = made_up_word(draw) if draw.side is Side.TRAIN and draw.chance(0.4) else random_name(draw)
    line = draw.template("named", _NAMED).format(name=name, a_role=a_role)
    turns: list[Message] = [system(line)]
    if draw.chance(0.3):
        fact = some_fact(draw)
        turns += [user(framed(draw, fact.question)), assistant(fact.answer)]
    turns += [user(draw.template("persona_who", _WHO)), assistant(f"I am {name}, {a_role}.")]
    return Dialogue(skill="persona_name", messages=tuple(turns), is_shaped_by_system=True)


def styled(draw: Draw) -> Sample:
    """One to three answers in the style that the system line asks for."""
    style = draw.pick(_STYLES)
    turns: list[Message] = [system(draw.template(f"style_{style.name}", style.requests))]
    for _ in range(draw.pick((1, 1, 2, 3))):
        fact = _fact_for(draw, style)
        turns += [user(fact.question), assistant(style.speak(fact))]
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
