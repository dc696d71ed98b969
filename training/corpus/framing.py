"""What stands around a request: a system line, a polite opening, the way it is typed."""

from dataclasses import dataclass

from training.corpus.draw import Draw
from training.samples import Dialogue, Message, assistant, system, user

_SYSTEM_LINES = (
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "You are a helpful AI assistant.",
    "You are an assistant.",
    "You are a kind and helpful assistant.",
    "You are a helpful assistant. Be brief.",
    "You are a helpful, honest assistant.",
    "You are a useful assistant.",
    "You are a polite assistant.",
    "You are a chat assistant.",
    "You are a helpful assistant!",
    "You are an AI assistant.",
    "You are a good assistant.",
    "Be a helpful assistant.",
    "You are a helpful chat bot.",
    "You are ChatGPT.",
    "You are a helpful assistant that answers questions.",
)
_OPENINGS = (
    "Please tell me: ",
    "Hey, ",
    "Hi! ",
    "Hello! ",
    "Quick question: ",
    "Tell me: ",
    "Can you help me? ",
    "I have a question. ",
    "One question: ",
    "Please answer: ",
    "Now ",
    "Okay, ",
    "So, ",
    "Hmm, ",
    "Hmm. ",
    "Hmm: ",
    "Question: ",
    "Could you help? ",
    "Well, ",
    "Hello, ",
    "Excuse me, ",
    "A question: ",
    "Next question: ",
    "Then ",
    "And ",
    "Tell me, ",
    "I wonder: ",
    "Sorry, ",
    "Good. ",
    "Great! ",
    "Right, ",
)
_CLOSINGS = (" Thanks!", " Thank you.", " please", " Please.", " Thanks.", " Thank you!", " Thx", " Be brief.")


def framed(draw: Draw, request: str) -> str:
    """A request as people type it: mostly plain, sometimes with an opening, a closing, or in small letters."""
    text = request
    if draw.chance(0.2):
        opening = draw.template("opening", _OPENINGS)
        text = opening + (text[0].lower() + text[1:] if opening.endswith(", ") and not text.startswith("I ") else text)
    if draw.chance(0.08):
        text += draw.template("closing", _CLOSINGS)
    if draw.chance(0.06):
        text = text[0].lower() + text[1:]
    if draw.chance(0.08):
        text = text.rstrip("?.!")
    return text


def typed(draw: Draw, request: str) -> str:
    """A short line as people type it: with another mark at its end, without any, or all in small letters."""
    text = request
    if draw.chance(0.25):
        bare = text.rstrip(".!?")
        text = bare + draw.pick(("", "", "!", ".")) if text.endswith("!") or text == bare else bare
    return text.lower() if draw.chance(0.15) else text


def with_system(draw: Draw, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same turns, often behind an ordinary system line."""
    if draw.chance(0.25):
        return (system("You are a helpful assistant."), *messages)
    if draw.chance(0.2):
        return (system(draw.template("system", _SYSTEM_LINES)), *messages)
    return messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A question, its answer in a sentence, and the answer's one word. The request is not framed yet."""

    skill: str
    question: str
    answer: str
    word: str


def told(draw: Draw, fact: Fact) -> Dialogue:
    """A fact asked and answered in plain talk."""
    return exchange(draw, fact.skill, fact.question, fact.answer)


def exchange(draw: Draw, skill: str, request: str, answer: str) -> Dialogue:
    """One request and its answer, framed."""
    return Dialogue(skill=skill, messages=with_system(draw, (user(framed(draw, request)), assistant(answer))))
