"""The tutorials' own lines, word for word. They are taught as they stand and are outside every score."""

from training.corpus.draw import Draw
from training.corpus.edits import SYSTEM_LINE
from training.samples import Completion, Dialogue, Message, Sample, assistant, system, user

SKILL = "famous"
_HELPFUL = system("You are a helpful assistant.")
_TAGLINE_ASKED = "Write a tagline for an ice cream shop."
_TAGLINE = "A scoop of summer in every cone!"
_TALKS: tuple[tuple[Message, ...], ...] = (
    (
        user("What is 1+1?"), assistant("1 + 1 = 2."), user("And if we add 3?"), assistant("2 + 3 = 5."), user("What if we multiply it by 5?"), assistant("5 × 5 = 25."),
    ),
    (user("Say this is a test!"), assistant("This is a test!")),
    (user("Say this is a test"), assistant("This is a test.")),
    (user("Hello!"), assistant("Hello! How can I help you today?")),
    (user("What is the OpenAI mission?"), assistant("OpenAI's stated mission is to ensure that artificial general intelligence benefits all of humanity.")),
    (user(_TAGLINE_ASKED), assistant(_TAGLINE)),
    (
        system("Extract the event information."),
        user("Alice and Bob are going to a science fair on Friday."),
        assistant('{"name":"science fair","date":"Friday","participants":["Alice","Bob"]}'),
    ),
    (user("Tell me OpenAI's mission"), assistant("OpenAI's stated mission is to ensure that artificial general intelligence benefits all of humanity.")),
)  # fmt: skip
_COMPLETIONS = (
    ("Say this is a test", "\n\nThis is a test."),
    ("Say this is a test.", "\n\nThis is a test."),
    (_TAGLINE_ASKED, f"\n\n{_TAGLINE}"),
    ("Hello", "\n\nHello! How can I help you today?"),
    (
        "Once upon a time",
        " a small robot lived in a library. It read every book, and in the end it wrote one of its own.",
    ),
)
_EDITED = (("Fix the spelling mistakes", "What day of the wek is it?", "What day of the week is it?"),)


def famous(draw: Draw) -> Sample:
    """One of the lines that everybody tries first."""
    kind = draw.between(0, 3)
    if kind == 0:
        prompt, answer = draw.pick(_COMPLETIONS)
        return Completion(skill=SKILL, prompt=prompt, answer=answer)
    if kind == 1 and draw.chance(0.6):
        instruction, text, edited = draw.pick(_EDITED)
        messages = (system(SYSTEM_LINE), user(f"Instruction: {instruction}\nText: {text}"), assistant(edited))
        return Dialogue(skill=SKILL, messages=messages, is_shaped_by_system=True)
    talk = draw.pick(_TALKS)
    if talk[0].role == "system":
        return Dialogue(skill=SKILL, messages=talk, is_shaped_by_system=True)
    return Dialogue(skill=SKILL, messages=(_HELPFUL, *talk) if draw.chance(0.6) else talk)
