"""Remembering what the user said earlier in the conversation: a name, a favourite thing."""

from training.corpus.draw import Draw
from training.corpus.framing import with_system
from training.corpus.persona import some_fact
from training.corpus.wordings import wordings
from training.corpus.words import any_name, random_word
from training.samples import Dialogue, Message, Sample, assistant, user

_MY_NAME = wordings(
    "My name is {name}.",
    "[|Hi, |Hello, |Hey, |Hello! |Hi! |Hi there, |Hello there, |Good morning, |Good evening, |Good day, ][my name is|I am|I'm|this is|it is me,|here is|I am called] {name}[.|!]",
    "[|Please |You can |You may |Just |Hi, please |Hello, ]call me {name}.",
    "[They|People|Friends|My friends|All] call me {name}.",
    "[Hi, |Hello, |Hey, |Well, |Here ]I go by [|the name ]{name}.",
    "[{name} is my name|It is me, {name}|My name is {name}, and yours|I have the name {name}|The name is {name}|I go by {name}|I am {name}, and you|Remember that my name is {name}|Remember: I am {name}|Remember my name: {name}].",
)
_ASK_NAME = wordings(
    "What is my name?",
    "[What's|And what is|So what is|What was|Now what is|And what was] my name?",
    "[Do you|Can you|Do you still] [remember|know] [my name|who I am|what my name is|how I am called|what I am called]?",
    "[Can|Could] you [tell me|say] [my name|who I am|what my name is]?",
    "[Tell me|Say|Please say|Please tell me|Now tell me] [my name|who I am|what my name is].",
    "[Who am I|And who am I|So who am I|How am I called|What am I called|Which name do I have|What name did I tell you|What did I say my name was|Which name did I tell you|What name did I give you|What do people call me]?",
)
_MY_FAVOURITE = wordings(
    "My favourite {kind} is {thing}.",
    "[Remember|Please remember|Keep in mind|Note|Remember this|Please note][: | that ]my favourite {kind} is {thing}.",
    "[Remember|Please remember|Keep in mind|I think|I say] that {thing} is [my favourite|the best|my best] {kind}.",
    "[|Remember: |To me ]{thing} is my favourite {kind}.",
    "[The {kind} that|The {kind} which|The {kind}] I like [most|best] is {thing}.",
    "I like the {kind} {thing} [best|most].",
    "[Of every|Of each|Of any] {kind} I like {thing} [best|most].",
    "[My best|The best|My own favourite|My one favourite] {kind} is {thing}.",
    "[I have a favourite {kind}: {thing}|My favourite {kind}? It is {thing}|The {kind} {thing} is my favourite|My favourite {kind}: {thing}|As a {kind} I like {thing} best].",
)
_ASK_FAVOURITE = wordings(
    "What is my favourite {kind}?",
    "[What's|And what is|So what is|What was|And what was|Now what is] my favourite {kind}?",
    "[|And |So ][which|what] {kind} do I like [best|most]?",
    "[|And |So ][which|what] {kind} is my [favourite|best]?",
    "[Do you|Can you|Do you still] [remember|know] [my favourite {kind}|which {kind} I like best|what my favourite {kind} is]?",
    "[Can|Could] you [tell me|say] my favourite {kind}?",
    "[Tell me|Say|Please say|Please tell me|Now tell me] [my favourite {kind}|which {kind} I like best|what my favourite {kind} is].",
    "And my favourite {kind}?",
)
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
