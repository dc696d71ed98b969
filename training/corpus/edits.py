"""Edits: an instruction and a text, answered with the edited text alone."""

from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.draw import Draw
from training.corpus.words import random_text, sentence
from training.samples import Dialogue, Message, Sample, assistant, spelling_assistant, system, user

SYSTEM_LINE = "Apply the instruction to the text; answer with the edited text alone."
_MISSPELT = {
    "the": "teh", "week": "wek", "day": "dya", "river": "rivver", "house": "hosue", "garden": "gardn", "window": "windwo", "water": "watter", "table": "tabel", "chair": "chiar", "near": "naer",
    "there": "ther", "where": "wehre", "very": "vrey", "like": "liek", "likes": "lieks", "this": "tihs", "happy": "hapy", "small": "smal", "long": "lnog", "bread": "braed", "street": "stret",
    "city": "citty", "village": "vilage", "mountain": "mountan", "forest": "forrest", "flower": "flowr", "morning": "mornig", "summer": "sumer", "winter": "wintr", "spring": "sprnig",
    "horse": "hrose", "sheep": "shep", "mouse": "mosue", "tiger": "tigger", "rabbit": "rabit", "wants": "wnats", "saw": "swa", "what": "waht", "stone": "stoen", "apple": "aple", "quiet": "queit",
    "brave": "brvae", "clean": "claen", "dirty": "ditry", "strong": "stong", "weak": "waek", "early": "erly", "cold": "clod", "warm": "wram", "young": "yuong", "short": "shrot", "night": "nigth",
}  # fmt: skip
_QUESTIONS = ("What {n} of the {m} is it?", "What day of the week is it?", "Where is the {n}?", "What is this {n}?")


@dataclass(frozen=True, slots=True)
class Edit:
    """One kind of edit: how it is asked for, and what it does to a text."""

    name: str
    instructions: tuple[str, ...]
    apply: Callable[[str], str]
    is_spelled: bool = False


_EDITS = (
    Edit("upper", ("Make it upper case.", "Write in upper case", "Convert to upper case", "Use capital letters", "Make the text upper case", "Uppercase", "Put the text in capitals", "Change everything to upper case", "Write it in capitals", "Capital letters", "All upper case", "Turn it into upper case", "Convert it to capitals"), str.upper, is_spelled=True),
    Edit("lower", ("Make it lower case.", "Write in lower case", "Convert to lower case", "Use small letters", "Make the text lower case", "Lowercase", "Put the text in small letters", "Change everything to lower case", "Write it in small letters", "Small letters", "All lower case", "Turn it into lower case", "Convert it to small letters"), str.lower, is_spelled=True),
    Edit("reverse", ("Reverse the words", "Reverse the order of the words", "Put the words in reverse order", "Turn the word order around", "Write the words backwards", "Reverse the word order", "Reverse all the words", "Put the words in reverse", "Turn the words around", "Write the words in reverse order", "Reverse the text word by word"), lambda text: " ".join(reversed(text.split()))),
    Edit("strip", ("Remove the punctuation", "Remove punctuation", "Take away the punctuation", "Delete the punctuation marks", "Strip the punctuation", "Remove all punctuation marks", "No punctuation", "Delete the punctuation", "Remove the punctuation marks", "Write it without punctuation", "Drop the punctuation"), lambda text: text.translate(str.maketrans("", "", ".,!?"))),
    Edit("quote", ("Put the text in quotes", "Add quotes", "Put quotes around it", "Quote the text", "Add quotation marks", "Put it in quotation marks", "Put it in quotes", "Write it in quotes", "Put quotation marks around it", "Quote it", "Add quotation marks around the text"), lambda text: f'"{text}"'),
    Edit("thanks", ('Add "Thank you." at the end', "Add thank you at the end", "End with a thank you", "Append a thank you", "Say thank you at the end", 'Append "Thank you."', "Say thank you at its end", "Add a thank you", "Finish with a thank you", "Put a thank you at the end", "Close with a thank you"), lambda text: f"{text} Thank you."),
    Edit("hello", ('Add "Hello!" at the start', "Begin with hello", "Start with a hello", "Put a hello before it", "Say hello first", 'Prepend "Hello!"', "Add a hello at the start", "Say hello at the start", "Open with hello", "Add hello", "Put hello at the start"), lambda text: f"Hello! {text}"),
    Edit("keep", ("Do not change anything", "Leave it as it is", "Keep the text", "Change nothing", "Return the text unchanged", "Do nothing", "Keep it", "Leave the text as it is", "Keep the text as it is", "Do not change the text", "Return it unchanged"), lambda text: text),
)  # fmt: skip
_SPELLING = (
    "Fix the spelling mistakes",
    "Fix the spelling mistakes.",
    "Correct the spelling",
    "Fix the spelling",
    "Correct the spelling mistakes",
    "Fix spelling errors",
    "Fix the typos",
    "Correct all spelling errors",
    "Please fix the spelling",
    "Correct the typos",
    "Fix all spelling mistakes",
    "Correct spelling mistakes",
    "Correct the spelling errors",
    "Repair the spelling",
    "Fix the misspelled words",
    "Fix the wrong words",
    "Please correct the spelling",
)


def edit(draw: Draw) -> Sample:
    """One edit, asked for as `/v1/edits` asks for it."""
    if draw.chance(0.35):
        right = draw.until("spelling", lambda: _spelling_sentence(draw))
        return _asked(draw.template("edit_spelling", _SPELLING), _misspell(draw, right), assistant(right))
    kind = draw.pick(_EDITS)
    text = random_text(draw) if draw.chance(0.5) else draw.until("edited", lambda: sentence(draw))
    answer = spelling_assistant(kind.apply(text)) if kind.is_spelled else assistant(kind.apply(text))
    return _asked(draw.template(f"edit_{kind.name}", kind.instructions), text, answer)


def _asked(instruction: str, text: str, answer: Message) -> Dialogue:
    messages = (system(SYSTEM_LINE), user(f"Instruction: {instruction}\nText: {text}"), answer)
    return Dialogue(skill="edit", messages=messages, is_shaped_by_system=True)


def _spelling_sentence(draw: Draw) -> str:
    while True:
        words = list(_MISSPELT)
        text = (
            draw.pick(_QUESTIONS).format(n=draw.pick(words[1:30]), m=draw.pick(words[1:30]))
            if draw.chance(0.3)
            else sentence(draw)
        )
        if any(_bare(word) in _MISSPELT for word in text.split()):
            return text


def _misspell(draw: Draw, text: str) -> str:
    words = text.split()
    places = [place for place, word in enumerate(words) if _bare(word) in _MISSPELT]
    for place in draw.random.sample(places, min(len(places), draw.pick((1, 1, 2)))):
        word = words[place]
        words[place] = word.replace(_bare(word), _MISSPELT[_bare(word)])
    return " ".join(words)


def _bare(word: str) -> str:
    return word.strip(".,!?")
