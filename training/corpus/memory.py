"""Remembering what the user said earlier in the conversation: a name, a favourite thing."""

from training.corpus.draw import Draw, Side
from training.corpus.framing import with_system
from training.corpus.persona import some_fact
from training.corpus.words import WORDS, made_up_word, random_name
from training.samples import Dialogue, Message, Sample, assistant, user

_MY_NAME = (
    "My name is {name}.", "I am {name}.", "I'm {name}.", "Hi, I am {name}.", "Hello, my name is {name}.", "Hello! I'm {name}.", "You can call me {name}.", "Call me {name}.", "Hi, my name is {name}.",
    "My name is {name}, and yours?", "Hey, I am {name}!", "They call me {name}.", "my name is {name}",
)  # fmt: skip
_ASK_NAME = (
    "What is my name?", "What's my name?", "Do you remember my name?", "Do you know my name?", "Who am I?", "Can you tell me my name?", "Tell me my name.", "What was my name?", "Say my name.", "How am I called?",
)  # fmt: skip
_MY_FAVOURITE = (
    "My favourite {kind} is {thing}.", "I like the {kind} {thing} best.", "The {kind} that I like most is {thing}.", "Remember: my favourite {kind} is {thing}.", "{thing} is my favourite {kind}.",
    "Please remember that my favourite {kind} is {thing}.", "Of every {kind} I like {thing} best.",
)  # fmt: skip
_ASK_FAVOURITE = (
    "What is my favourite {kind}?", "Which {kind} do I like best?", "What {kind} do I like most?", "Do you remember my favourite {kind}?", "Tell me my favourite {kind}.", "What's my favourite {kind}?",
)  # fmt: skip
_KINDS = ("word", "animal", "food", "colour", "thing", "number", "city")


def memory(draw: Draw) -> Sample:
    """Something told, perhaps another subject, then asked for. A name never told is not known."""
    if draw.chance(0.15):
        turns = [user(draw.template("ask_name", _ASK_NAME)), assistant("I don't know your name. What is it?")]
        return Dialogue(skill="memory", messages=with_system(draw, tuple(turns)))
    if draw.chance(0.6):
        name = made_up_word(draw) if draw.side is Side.TRAIN and draw.chance(0.4) else random_name(draw)
        turns = [user(draw.template("my_name", _MY_NAME).format(name=name)), assistant(f"Nice to meet you, {name}!")]
        ask, answer = draw.template("ask_name", _ASK_NAME), f"Your name is {name}."
    else:
        kind, thing = draw.pick(_KINDS), draw.pick(WORDS)
        turns = [
            user(draw.template("my_favourite", _MY_FAVOURITE).format(kind=kind, thing=thing)),
            assistant("I will remember that."),
        ]
        ask, answer = (
            draw.template("ask_favourite", _ASK_FAVOURITE).format(kind=kind),
            f"Your favourite {kind} is {thing}.",
        )
    for _ in range(draw.pick((0, 0, 1, 2))):
        turns += _another_subject(draw)
    return Dialogue(
        skill="memory", messages=with_system(draw, (*turns, user(ask), assistant(answer))), is_shaped_by_system=True
    )


def _another_subject(draw: Draw) -> list[Message]:
    fact = some_fact(draw)
    return [user(fact.question), assistant(fact.answer)]
