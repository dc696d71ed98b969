"""Work on short texts: copy, change case, reverse, spell, count, first and last word, sort."""

from training.corpus.draw import Draw
from training.corpus.framing import with_system
from training.corpus.words import WORDS, random_text, random_word, random_words
from training.samples import Dialogue, Message, Sample, assistant, spelling_assistant, user

_COPY = (
    "Repeat: {text}", "Repeat after me: {text}", "Copy this: {text}", "Copy this text: {text}", "Please repeat: {text}", "Repeat this exactly: {text}", "Echo: {text}",
    "Write this again: {text}", "Repeat the following: {text}", "Copy the following text: {text}", "Repeat this sentence: {text}", "Echo this back: {text}", "Repeat \"{text}\"",
    "Copy \"{text}\"", "Please copy: {text}", "Give me back this text: {text}", "Return this text unchanged: {text}", "Repeat word for word: {text}", "Copy: {text}", "Repeat this: {text}",
    "Please echo: {text}", "Write exactly this: {text}", "Can you repeat this? {text}", "Can you copy this? {text}", "Answer with this text: {text}", "Give me a copy of this: {text}", "Type this: {text}",
    "Say exactly this: {text}", "Please write: {text}", "Repeat what I write: {text}",
)  # fmt: skip
_UPPER = (
    "Write in upper case: {text}", "Upper case: {text}", "Write this in capital letters: {text}", "Convert to upper case: {text}", "Make this upper case: {text}",
    "Put this in capitals: {text}", "Uppercase this: {text}", "In capital letters: {text}", "Write \"{text}\" in upper case.", "Turn this into capital letters: {text}",
    "Convert \"{text}\" to uppercase.", "Change to upper case: {text}", "Please uppercase: {text}", "Write {text} in capital letters.", "Capitalize every letter: {text}", "Write {text} in upper case.",
    "Uppercase: {text}", "All capitals: {text}", "Convert this to capital letters: {text}", "Make this capital letters: {text}", "Put \"{text}\" in upper case.", "Turn \"{text}\" into capitals.",
    "Change this to capitals: {text}", "Give me this in upper case: {text}", "What is {text} in upper case?", "What is \"{text}\" in capital letters?", "Use capital letters: {text}", "Shout this: {text}",
    "Please write in capitals: {text}", "Convert the text to uppercase: {text}",
)  # fmt: skip
_LOWER = (
    "Write in lower case: {text}", "Lower case: {text}", "Write this in small letters: {text}", "Convert to lower case: {text}", "Make this lower case: {text}",
    "Put this in small letters: {text}", "Lowercase this: {text}", "In small letters: {text}", "Write \"{text}\" in lower case.", "Turn this into small letters: {text}",
    "Convert \"{text}\" to lowercase.", "Change to lower case: {text}", "Please lowercase: {text}", "Write {text} in small letters.", "Lowercase: {text}", "Convert this to small letters: {text}",
    "Put \"{text}\" in lower case.", "Turn \"{text}\" into small letters.", "Change this to small letters: {text}", "Give me this in lower case: {text}", "What is {text} in lower case?",
    "What is \"{text}\" in small letters?", "Use small letters: {text}", "No capitals: {text}", "Please write in small letters: {text}", "Convert the text to lowercase: {text}",
)  # fmt: skip
_REVERSE_WORDS = (
    "Reverse the words: {text}", "Reverse the order of the words: {text}", "Write these words in reverse order: {text}", "Put these words in reverse: {text}", "Reverse these words: {text}",
    "Turn the word order around: {text}", "Reverse the word order: {text}", "Say these words backwards: {text}", "List these words from last to first: {text}", "Reverse the words of \"{text}\".",
    "Give the words in reverse order: {text}", "Reverse the list: {text}", "Reverse: {text}", "Write the words from last to first: {text}", "Put the words in reverse order: {text}",
    "Reverse this list: {text}", "Turn this list around: {text}", "Turn these words around: {text}", "From last to first: {text}", "Please reverse the words: {text}", "Can you reverse these words? {text}",
    "Write the word list backwards: {text}", "Reverse the words in \"{text}\".", "Give me these words from last to first: {text}", "List these words backwards: {text}", "In reverse order: {text}",
)  # fmt: skip
_REVERSE_LETTERS = (
    "Spell {text} backwards.", "Reverse the letters of {text}.", "Write {text} backwards.", "Reverse the word {text}.", "Write the word {text} in reverse.", "What is {text} spelled backwards?",
    "Reverse the word \"{text}\".", "Spell the word {text} backwards.", "What is {text} backwards?", "Turn the letters of {text} around.", "Give me {text} with its letters reversed.",
    "Reverse {text}.", "Write the letters of {text} from last to first.", "Turn the word {text} around.", "What is the word {text} in reverse?", "Can you spell {text} backwards?",
    "Give the letters of {text} in reverse order.", "Please write {text} backwards.", "How do you write {text} backwards?", "What does {text} look like backwards?",
)  # fmt: skip
_SPELL = (
    "Spell {text}.", "Spell the word {text}.", "How do you spell {text}?", "Can you spell {text}?", "Spell {text} letter by letter.", "Write the letters of {text}.", "Which letters are in {text}?",
    "Tell me how to spell {text}.", "How is {text} spelled?", "Please spell {text}.", "What are the letters of {text}?", "Spell out {text}.", "How is the word {text} spelled?", "Give me the letters of {text}.",
    "How do I spell {text}?", "Could you spell {text}?", "Spell \"{text}\".", "Write {text} letter by letter.", "How do you spell the word {text}?", "Please spell the word {text}.", "How is {text} written?",
    "Say the letters of {text}.", "I need the spelling of {text}.", "What is the spelling of {text}?",
)  # fmt: skip
_COUNT = (
    "How many words are in: {text}", "How many words are there in \"{text}\"?", "Count the words: {text}", "Count the words in this text: {text}", "How many words does this have: {text}",
    "How many words: {text}", "What is the number of words in \"{text}\"?", "Tell me how many words this has: {text}", "Word count: {text}", "Give me the number of words: {text}",
    "How many words are in the sentence \"{text}\"?", "Count the words of \"{text}\".", "Number of words in: {text}", "How many words do you see: {text}", "Count how many words this is: {text}",
    "How many words are in the text \"{text}\"?", "How many words has \"{text}\"?", "Please count the words: {text}", "Can you count the words? {text}", "What is the word count of \"{text}\"?",
    "Count the words in \"{text}\".", "How many words does \"{text}\" have?", "The number of words in this: {text}", "How long is this in words: {text}",
)  # fmt: skip
_PLACE = (
    "What is the {place} word of: {text}", "What is the {place} word in \"{text}\"?", "Which word comes {place} in: {text}", "Give me the {place} word: {text}", "Name the {place} word of \"{text}\".",
    "{Place} word: {text}", "The {place} word of \"{text}\" is?", "Tell me the {place} word of this text: {text}", "Write the {place} word: {text}", "Find the {place} word: {text}",
    "What's the {place} word here: {text}", "Say the {place} word of: {text}", "Return only the {place} word: {text}", "Which word is {place}: {text}", "Which word stands {place} here: {text}",
    "Which is the {place} word in: {text}", "Give the {place} word of \"{text}\".", "What word is {place} in \"{text}\"?", "The {place} word, please: {text}", "Please give me the {place} word of: {text}",
    "Which word comes {place}: {text}", "Tell me which word is {place}: {text}", "Pick the {place} word: {text}", "Can you find the {place} word? {text}", "What {place} word does this have: {text}",
)  # fmt: skip
_SORT = (
    "Sort: {text}", "Sort these: {text}", "Sort this list: {text}", "Put these in order: {text}", "Sort the list {text}.", "Please sort: {text}", "Order this list: {text}",
    "Put this list in order: {text}", "Write this list in order: {text}", "Arrange in order: {text}", "Sort the following: {text}", "Can you sort {text}?", "Give me this list sorted: {text}",
    "Order these: {text}", "Arrange this list: {text}", "Please sort this list: {text}", "Bring these into order: {text}", "Sort the following list: {text}", "Write these in order: {text}",
    "Can you put these in order? {text}", "Could you sort this? {text}", "In order, please: {text}", "Sort {text}", "Sorted list of: {text}",
)  # fmt: skip
_LETTERS = tuple(word for word in WORDS if len(word) <= 5)


def copy(draw: Draw) -> Sample:
    """A text given back as it is."""
    text = random_text(draw)
    return _work(draw, "copy", draw.template("copy", _COPY).format(text=text), assistant(text))


def upper_case(draw: Draw) -> Sample:
    """A text in capital letters."""
    text = _text_or_words(draw)
    return _work(draw, "upper_case", draw.template("upper", _UPPER).format(text=text), spelling_assistant(text.upper()))


def lower_case(draw: Draw) -> Sample:
    """A text in small letters."""
    text = _text_or_words(draw)
    given = text.upper() if draw.chance(0.7) else text.title()
    request = draw.template("lower", _LOWER).format(text=given)
    return _work(draw, "lower_case", request, spelling_assistant(text.lower()))


def reverse_words(draw: Draw) -> Sample:
    """Words in reverse order."""
    words = random_words(draw, 2, 5)
    separator = ", " if draw.chance(0.25) else " "
    request = draw.template("reverse_words", _REVERSE_WORDS).format(text=separator.join(words))
    return _work(draw, "reverse_words", request, assistant(separator.join(reversed(words))))


def reverse_letters(draw: Draw) -> Sample:
    """A word's letters in reverse order. The answer spells the word first: what it then reads backwards stands there."""
    word = draw.until("reversed", lambda: random_word(draw).lower() if draw.chance(0.5) else draw.pick(_LETTERS))
    request = draw.template("reverse_letters", _REVERSE_LETTERS).format(text=word)
    return _work(draw, "reverse_letters", request, spelling_assistant(backwards(word)))


def backwards(word: str) -> str:
    """How an answer turns a word around."""
    return f"{'-'.join(word)} backwards is {word[::-1]}."


def spell(draw: Draw) -> Sample:
    """A word letter by letter: what reversing and upper case rest on."""
    word = random_word(draw)
    request = draw.template("spell", _SPELL).format(text=word)
    return _work(draw, "spell", request, spelling_assistant("-".join(word)))


def count_words(draw: Draw) -> Sample:
    """How many words a text has."""
    words = random_words(draw, 1, 8)
    answer = f"There {'is' if len(words) == 1 else 'are'} {len(words)} word{'' if len(words) == 1 else 's'}."
    return _work(draw, "count_words", draw.template("count", _COUNT).format(text=" ".join(words)), assistant(answer))


def first_or_last_word(draw: Draw) -> Sample:
    """The word at an end of a text."""
    words = random_words(draw, 2, 7)
    place = draw.pick(("first", "last"))
    request = draw.template("place", _PLACE).format(place=place, Place=place.title(), text=" ".join(words))
    return _work(draw, "first_last_word", request, assistant(words[0] if place == "first" else words[-1]))


def sort(draw: Draw) -> Sample:
    """A short list of numbers or words in order."""
    given, answer = sorting(draw)
    return _work(draw, "sort", draw.template("sort", _SORT).format(text=given), assistant(answer))


def sorting(draw: Draw) -> tuple[str, str]:
    """A short list, and the same in order."""
    if draw.chance(0.5):
        top = draw.pick((9, 20, 99))
        numbers = draw.until("numbers", lambda: tuple(draw.random.sample(range(1, top + 1), draw.between(2, 5))))
        given, answer = (", ".join(map(str, ordered)) for ordered in (numbers, sorted(numbers)))
    else:
        words = random_words(draw, 2, 4)
        given, answer = (", ".join(ordered) for ordered in (words, sorted(words)))
    return given, answer


def _text_or_words(draw: Draw) -> str:
    return random_text(draw) if draw.chance(0.3) else " ".join(random_words(draw, 1, 4))


def _work(draw: Draw, skill: str, request: str, answer: Message) -> Dialogue:
    # No polite framing here: a closing would read as part of the text.
    return Dialogue(skill=skill, messages=with_system(draw, (user(request), answer)))
