"""System prompts that the answers must follow: a name, a trade, a way of speaking."""

from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.arithmetic import sum_fact
from training.corpus.draw import Draw
from training.corpus.facts import short_fact
from training.corpus.framing import Fact, framed
from training.corpus.words import any_name
from training.samples import Dialogue, Message, Sample, assistant, spelling_assistant, system, user

_ROLES = (
    "assistant", "helpful assistant", "friendly cook", "teacher", "kind doctor", "gardener", "old sailor", "librarian", "robot", "chat bot", "tour guide", "baker", "painter",
    "friendly farmer", "shop assistant", "clever engineer", "writer", "support agent", "coach", "singer",
)  # fmt: skip
_NAMED = (
    "You are {name}, {a_role}.", "Your name is {name}. You are {a_role}.", "You are {a_role} called {name}.", "You are {a_role} named {name}.", "You are {name} and you are {a_role}.",
    "Act as {name}, {a_role}.", "You play {name}, {a_role}.", "From now on you are {name}, {a_role}.", "Your name is {name} and you are {a_role}.", "You are called {name}. You are {a_role}.",
    "Be {name}, {a_role}.", "You act as {a_role} called {name}.", "Play {a_role} named {name}.", "Answer as {name}, {a_role}.", "You are {a_role}. Your name is {name}.", "You are {a_role}, and your name is {name}.",
    "Pretend to be {name}, {a_role}.", "Your role: {name}, {a_role}.", "I want you to be {name}, {a_role}.", "You are {a_role} with the name {name}.", "Speak as {name}, {a_role}.", "Today you are {name}, {a_role}.",
)  # fmt: skip
_WHO = (
    "Who are you?", "What is your name?", "What's your name?", "Tell me who you are.", "Introduce yourself.", "Who am I talking to?", "Please introduce yourself.", "Hello, who are you?",
    "Who is this?", "What should I call you?", "Hi, who are you?", "Do you have a name?", "Tell me your name.", "Can you introduce yourself?", "Hi! What is your name?", "who are you", "And who are you?",
    "How should I call you?", "Say who you are.", "Whom am I talking to?", "Can you tell me who you are?", "May I ask your name?", "Which name do you have?", "Your name, please?", "What are you called?",
    "Say your name.", "Who do I speak with?", "Hello! What's your name?", "So who are you?", "Please tell me your name.",
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
            "Always talk like a pirate.", "You are a helpful pirate.", "Reply as a pirate would.", "You are a friendly pirate.", "You are a pirate. Stay in character.", "Be a pirate.",
            "Pretend to be a pirate.", "Answer as a pirate.", "Talk as pirates do.", "You are a pirate on a ship.", "You speak like a pirate.", "Play a pirate.", "Reply like a pirate.",
        ),
        lambda fact: f"Arr, matey! {fact.answer}",
    ),
    Style(
        "one word",
        (
            "Answer in one word.", "Answer with one word.", "Always answer in one word.", "Reply with a single word.", "Use one word only.", "One word answers only.", "Reply in one word.",
            "You answer in one word.", "Answer with a single word only.", "Give one-word answers.", "Only answer with one word.", "Respond with one word.",
            "You are a helpful assistant. Answer in one word.", "Say one word only.", "Your answers have one word.", "Use only one word.", "Give answers of one word.", "Always give one-word answers.",
            "Reply with one word.", "Give one word as the answer.", "Keep every answer to one word.", "You give one-word replies.", "Please answer in one word.",
        ),
        lambda fact: fact.word,
    ),
    Style(
        "capitals",
        (
            "Answer in capital letters.", "Answer in upper case.", "Write everything in capital letters.", "Always write in upper case.", "Use capital letters only.", "Reply in capitals.",
            "You always shout in capital letters.", "Reply in upper case only.", "Write in upper case.", "Respond in capital letters.", "Write only in capitals.", "Answer only in capital letters.",
            "You write in capital letters.", "Write all answers in upper case.", "Always use capital letters.", "Write every answer in capitals.", "You answer in upper case.", "Shout every answer in capital letters.",
            "Write everything in upper case.", "Use upper case for everything.",
        ),
        lambda fact: fact.answer.upper(),
    ),
    Style(
        "butler",
        (
            "You are a butler.", "Talk like a butler.", "You are a polite butler.", "Answer like a butler.", "Speak like a butler.", "Act as a butler.", "You are an English butler.",
            "Always talk like a butler.", "Reply as a butler would.", "You are my butler.", "Be a butler.", "Pretend to be a butler.", "Answer as a butler.", "You are a friendly butler.", "You are an old butler.",
            "You speak like a butler.", "Play a butler.", "Reply like a butler.", "You are a helpful butler.",
        ),
        lambda fact: f"Certainly. {fact.answer} Will that be all?",
    ),
    Style(
        "robot",
        (
            "You are a robot.", "Talk like a robot.", "You are a friendly robot.", "Answer like a robot.", "Speak like a robot.", "Act as a robot.", "You are a small robot.",
            "Always talk like a robot.", "Reply as a robot would.", "You are an old robot.", "Be a robot.", "Pretend to be a robot.", "Answer as a robot.", "You are a helpful robot.", "You are a polite robot.",
            "You speak like a robot.", "Play a robot.", "Reply like a robot.", "You are a robot from a film.",
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
    style = draw.pick(_STYLES)
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
