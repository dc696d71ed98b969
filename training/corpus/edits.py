"""Edits: an instruction and a text, answered with the edited text alone."""

from collections.abc import Callable
from dataclasses import dataclass

from training.corpus.draw import Draw
from training.corpus.wordings import wordings
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
    Edit("upper", wordings(
        "Make it upper case.",
        "[|Please ][write|put|convert|change|turn] [it|the text|everything|all] [in|to|into] [upper case|capitals|capital letters][|.]",
        "[|Please ][write|convert|change|put] [in|to] [upper case|capitals|capital letters][|.]",
        "[|Please ][make|use] [the text upper case|capital letters|it upper case|everything upper case|upper case|capitals][|.]",
        "[Uppercase|Capital letters|All upper case|Upper case|All capitals|Uppercase the text|Capitals][|.]",
    ), str.upper, is_spelled=True),
    Edit("lower", wordings(
        "Make it lower case.",
        "[|Please ][write|put|convert|change|turn] [it|the text|everything|all] [in|to|into] [lower case|small letters][|.]",
        "[|Please ][write|convert|change|put] [in|to] [lower case|small letters][|.]",
        "[|Please ][make|use] [the text lower case|small letters|it lower case|everything lower case|lower case][|.]",
        "[Lowercase|Small letters|All lower case|Lower case|No capitals|Lowercase the text][|.]",
    ), str.lower, is_spelled=True),
    Edit("reverse", wordings(
        "Reverse the words",
        "[|Please ]reverse [the words|the order of the words|the word order|all the words|all words|the text word by word|the words of the text][|.]",
        "[|Please ][put|write] [the words|all words|the text word by word] [in reverse order|in reverse|backwards|from last to first][|.]",
        "[|Please ]turn [the words|the word order|the order of the words] around[|.]",
    ), lambda text: " ".join(reversed(text.split()))),
    Edit("strip", wordings(
        "Remove the punctuation",
        "[|Please ][remove|take away|delete|strip|drop|leave out] [the punctuation|punctuation|all punctuation|the punctuation marks|all punctuation marks][|.]",
        "[|Please ]write [it|the text] without punctuation[| marks][|.]",
        "[No punctuation|Without punctuation|No punctuation marks][|.]",
    ), lambda text: text.translate(str.maketrans("", "", ".,!?"))),
    Edit("quote", wordings(
        "Put the text in quotes",
        "[|Please ][put|write] [it|the text] in [quotes|quotation marks][|.]",
        "[|Please ][add|put] [quotes|quotation marks] [around it|around the text][|.]",
        "[|Please ]quote [it|the text|this][|.]",
        "[Add quotes|Add quotation marks|In quotes|In quotation marks][|.]",
    ), lambda text: f'"{text}"'),
    Edit("thanks", wordings(
        'Add "Thank you." at the end',
        "[|Please ][add|put|append|say|write] [thank you|a thank you|\"Thank you.\"] at [the|its] end[|.]",
        "[|Please ][end|finish|close] with [thank you|a thank you|\"Thank you.\"][|.]",
        "[|Please ][append|add] [\"Thank you.\"|a thank you|thank you][|.]",
    ), lambda text: f"{text} Thank you."),
    Edit("hello", wordings(
        'Add "Hello!" at the start',
        "[|Please ][add|put|say|write] [hello|a hello|\"Hello!\"] [at the start|at its start|first|before it|before the text][|.]",
        "[|Please ][begin|start|open] with [hello|a hello|\"Hello!\"][|.]",
        "[|Please ][prepend|add] [\"Hello!\"|a hello|hello][|.]",
    ), lambda text: f"Hello! {text}"),
    Edit("keep", wordings(
        "Do not change anything",
        "[|Please ][keep|leave] [it|the text|everything] [as it is|unchanged|the same][|.]",
        "[|Please ][change nothing|do nothing|keep it|keep the text|do not change the text|do not change it|do not change anything][|.]",
        "[|Please ]return [it|the text] [unchanged|as it is][|.]",
    ), lambda text: text),
)  # fmt: skip
_SPELLING = wordings(
    "Fix the spelling mistakes",
    "[|Please ][fix|correct|repair|mend] [|all |all the |the ][spelling mistakes|spelling errors|typos|spelling|misspelled words|wrong words|wrong spelling][|.]",
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
