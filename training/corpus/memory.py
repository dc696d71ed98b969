"""Remembering what the user said earlier in the conversation: a name, a favourite thing."""

from training.corpus.draw import Draw
from training.corpus.framing import with_system
from training.corpus.persona import some_fact
from training.corpus.words import any_name, random_word
from training.samples import Dialogue, Message, Sample, assistant, user

_MY_NAME = (
    "My name is {name}.", "I am {name}.", "I'm {name}.", "Hi, I am {name}.", "Hello, my name is {name}.", "Hello! I'm {name}.", "You can call me {name}.", "Call me {name}.", "Hi, my name is {name}.",
    "My name is {name}, and yours?", "Hey, I am {name}!", "They call me {name}.", "my name is {name}", "Hello, I am {name}.", "Hi! My name is {name}.", "Good morning, I am {name}.", "I am called {name}.",
    "Hello there, my name is {name}!", "Hey, my name is {name}.", "Please call me {name}.", "Hi there, I'm {name}.", "People call me {name}.", "{name} is my name.", "It is me, {name}.", "Hello, this is {name}.",
    "Here is {name}.", "Good evening, my name is {name}.",
)  # fmt: skip
_ASK_NAME = (
    "What is my name?", "What's my name?", "Do you remember my name?", "Do you know my name?", "Who am I?", "Can you tell me my name?", "Tell me my name.", "What was my name?", "Say my name.", "How am I called?",
    "Can you remember my name?", "And what is my name?", "Do you still know my name?", "Do you know who I am?", "Which name do I have?", "Please say my name.", "What name did I tell you?", "So what is my name?",
    "Do you remember who I am?", "What did I say my name was?",
)  # fmt: skip
_MY_FAVOURITE = (
    "My favourite {kind} is {thing}.", "I like the {kind} {thing} best.", "The {kind} that I like most is {thing}.", "Remember: my favourite {kind} is {thing}.", "{thing} is my favourite {kind}.",
    "Please remember that my favourite {kind} is {thing}.", "Of every {kind} I like {thing} best.", "My best {kind} is {thing}.", "Remember that {thing} is my favourite {kind}.", "The best {kind} is {thing}.",
    "I have a favourite {kind}: {thing}.", "My favourite {kind}? It is {thing}.", "Keep in mind that my favourite {kind} is {thing}.", "The {kind} that I like best is {thing}.", "The {kind} {thing} is my favourite.",
    "I think that {thing} is the best {kind}.",
)  # fmt: skip
_ASK_FAVOURITE = (
    "What is my favourite {kind}?", "Which {kind} do I like best?", "What {kind} do I like most?", "Do you remember my favourite {kind}?", "Tell me my favourite {kind}.", "What's my favourite {kind}?",
    "Which {kind} is my favourite?", "Do you know my favourite {kind}?", "Can you tell me my favourite {kind}?", "What was my favourite {kind}?", "Which {kind} do I like most?", "What {kind} do I like best?",
    "And my favourite {kind}?", "What {kind} is my favourite?", "So which {kind} do I like best?",
)  # fmt: skip
_KINDS = ("word", "animal", "food", "colour", "thing", "number", "city")


def memory(draw: Draw) -> Sample:
    """Something told, perhaps another subject, then asked for. A name never told is not known."""
    if draw.chance(0.15):
        turns = [user(draw.template("ask_name", _ASK_NAME)), assistant("I don't know your name. What is it?")]
        return Dialogue(skill="memory", messages=with_system(draw, tuple(turns)))
    if draw.chance(0.6):
        name = any_name(draw)
        turns = [user(draw.template("my_name", _MY_NAME).format(name=name)), assistant(f"Nice to meet you, {name}!")]
        ask, answer = draw.template("ask_name", _ASK_NAME), f"Your name is {name}."
    else:
        kind, thing = draw.pick(_KINDS), random_word(draw).lower()
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
