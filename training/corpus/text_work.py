"""Work on short texts: copy, change case, reverse, spell, count, first and last word, sort."""

from string import ascii_lowercase

from training.corpus.draw import Draw
from training.corpus.framing import with_system
from training.corpus.wordings import wordings
from training.corpus.words import WORDS, random_text, random_word, random_words, sentence
from training.samples import Dialogue, Message, Sample, assistant, spelling_assistant, user

_COPY = wordings(
    "Repeat: {text}",
    "[|Please |Now |Please just ][repeat|copy|echo|write again]: {text}",
    "[|Please |Now ][repeat|copy|echo] [this|this text|the following|the following text|this line|the text]: {text}",
    "[|Please ][repeat|copy|write|type|echo] [this exactly|exactly this|this word for word|the following exactly|this as it is]: {text}",
    '[|Please ][repeat|copy|echo] "{text}"',
    "[Can|Could] you [repeat|copy|echo] [this|the following|this text]? {text}",
    "[Repeat|Please repeat|Repeat exactly] [after me|what I write|word for word|this sentence]: {text}",
    "[Give me|Give me back|Return|Write|Answer with|Send back|Show me] [this text|the same text|a copy of this|this text unchanged|the following text unchanged]: {text}",
    "[Write this again|Type this|Echo this back|Please write|Copy this again|Write again|Repeat again]: {text}",
)
_UPPER = wordings(
    "Write in upper case: {text}",
    "[Upper case|Uppercase|All capitals|Capital letters|In capital letters|In upper case|In capitals|Capitalize every letter|Shout this|Shout|Upper case, please|Uppercase this|Please uppercase|Uppercase the text]: {text}",
    "[|Please |Now ][write|put] [this|the text|this text] in [upper case|capital letters|capitals|uppercase]: {text}",
    "[|Please |Now ][turn|convert|change|bring] [this|the text|this text] [into|to] [upper case|capital letters|capitals|uppercase]: {text}",
    "[|Please ][write|convert to|make this|change to|use|put in] [uppercase|capital letters|upper case|capitals]: {text}",
    '[|Please ][write|put] "{text}" in [upper case|capital letters|capitals|uppercase].',
    '[|Please ][turn|convert|change] "{text}" [into|to] [upper case|capital letters|capitals|uppercase].',
    "[|Please ]write {text} in [upper case|capital letters|capitals|uppercase].",
    '[What is|How do you write|Can you write] [{text}|"{text}"] in [upper case|capital letters|capitals]?',
    "[Give me|Show me|Can you write|I need|Return] this in [upper case|capital letters|capitals]: {text}",
)
_LOWER = wordings(
    "Write in lower case: {text}",
    "[Lower case|Lowercase|No capitals|Small letters|In small letters|In lower case|Only small letters|Lower case, please|Lowercase this|Please lowercase|Lowercase the text|Without capitals]: {text}",
    "[|Please |Now ][write|put] [this|the text|this text] in [lower case|small letters|lowercase]: {text}",
    "[|Please |Now ][turn|convert|change|bring] [this|the text|this text] [into|to] [lower case|small letters|lowercase]: {text}",
    "[|Please ][write|convert to|make this|change to|use|put in] [lowercase|small letters|lower case]: {text}",
    '[|Please ][write|put] "{text}" in [lower case|small letters|lowercase].',
    '[|Please ][turn|convert|change] "{text}" [into|to] [lower case|small letters|lowercase].',
    "[|Please ]write {text} in [lower case|small letters|lowercase].",
    '[What is|How do you write|Can you write] [{text}|"{text}"] in [lower case|small letters|lowercase]?',
    "[Give me|Show me|Can you write|I need|Return] this in [lower case|small letters|lowercase]: {text}",
)
_REVERSE_WORDS = wordings(
    "Reverse the words: {text}",
    "[|Please |Now ]reverse [the words|these words|the order of the words|the word order|the list|this list|this word list|the following words|the order of these words]: {text}",
    "[|Please ][write|put|give|list|say|bring] [the words|these words|this list|the list] [in reverse|in reverse order|backwards|from last to first]: {text}",
    "[|Please ]turn [the word order|this list|these words|the words|the list] around: {text}",
    'Reverse the words [of|in] "{text}".',
    "[Reverse|From last to first|In reverse order|Word order reversed|Last word first|Backwards, word by word]: {text}",
    "[Can|Could] you reverse [these words|the words|this list]? {text}",
    "Give me [these words|the words|this list] [from last to first|in reverse order|backwards]: {text}",
)
_REVERSE_LETTERS = wordings(
    "Spell {text} backwards.",
    "[|Please |Now ][spell|write] [|the word ]{text} [backwards|in reverse|from last to first].",
    "[|Please |Now ]reverse [|the word |the letters of |the letters of the word ]{text}.",
    'Reverse the word "{text}".',
    "[What is|How do you spell|How do you write|Can you spell|Can you write|How do I write|How is] [|the word ]{text} backwards?",
    "[What is|How is] [|the word ]{text} [spelled|written] backwards?",
    "What [is the word {text} in reverse|does {text} look like backwards|is {text} in reverse]?",
    "[|Please ]turn [the letters of {text}|the word {text}|{text}] around.",
    "[|Please ][write|give|give me|say] the letters of {text} [in reverse order|from last to first|backwards|in reverse].",
    "Give me {text} with its letters reversed.",
)
_SPELL = wordings(
    "Spell {text}.",
    "[|Please |Now |Please now ]spell [|out |the word ]{text}[.| letter by letter.]",
    "[How do you|How do I|Can you|Could you|How do we|Would you] [spell|spell out] [|the word ]{text}?",
    "[How is|How is the word] {text} [spelled|written]?",
    "[Write|Say|Give me|Tell me|List|Name|Please write|Please give me] the [letters|spelling] of [|the word ]{text}.",
    "[Which|What] letters [are in|does] {text}[?| have?]",
    "What [are the letters|is the spelling] of [|the word ]{text}?",
    '[Spell "{text}"|Write {text} letter by letter|Tell me how to spell {text}|I need the spelling of {text}|Say {text} letter by letter|Please spell "{text}"|Tell me how {text} is spelled].',
)
_COUNT = wordings(
    "How many words are in: {text}",
    "How many words [are|are there|do you see|do you count|do you find] [in|in this|here|in this text|in the text|in the following|in this sentence]: {text}",
    'How many words [are|are there] in [|the text |the sentence |the line ]"{text}"?',
    'How many words [does|has] "{text}"[?| have?]',
    "How many words [does this have|has this|is this|has this text|does this text have|does the text have]: {text}",
    "[|Please |Now ]count [the words|how many words this is|the words in this text|the words in this|the words here|all words|how many words there are]: {text}",
    '[|Please |Now ]count the words [of|in] "{text}".',
    "[Can|Could] you [count the words|tell me how many words this has|say how many words this is]? {text}",
    '[What is|Tell me|Give me|I need|Say] the [number of words|word count] [of|in] "{text}".',
    "[Tell me|Say|I want to know] how many words [this has|this is|there are|you see]: {text}",
    "[Word count|Number of words|The number of words|Words|Give me the number of words|Give me the word count|How long is this in words|Word count, please] [|in this|here|of this]: {text}",
    "[How many words|Word count|Number of words|How long is this in words]: {text}",
)
_PLACE = wordings(
    "What is the {place} word of: {text}",
    "[What is|What's|Which is|Tell me|Give me|Name|Write|Say|Find|Pick|Return only|Please give me|Please tell me] the {place} word [of|in|here|of this text|in this text|of this|of the text]: {text}",
    '[What is|What\'s|Which is] the {place} word [of|in] "{text}"?',
    '[Tell me|Give me|Name|Write|Say|Find] the {place} word [of|in] "{text}".',
    "[Which|What] word [comes|stands|is] {place}[| in| here| in this| in this text]: {text}",
    '[Which|What] word [comes|stands|is] {place} in "{text}"?',
    "[{Place} word|{Place} word only|The {place} word, please|The {place} word|Just the {place} word|Only the {place} word]: {text}",
    "[Tell me|Say] which word [is|comes|stands] {place}: {text}",
    "[Can|Could] you [find|name|give me|tell me] the {place} word? {text}",
    "What {place} word does this have: {text}",
)
_SORT = wordings(
    "Sort: {text}",
    "[|Please |Now ]sort [this|these|this list|the list|the following|the following list|these things]: {text}",
    "[|Please |Now ][put|bring|write|arrange|place] [this|these|this list|the list|the following] [in|into] order: {text}",
    "[|Please ][order|arrange] [this|these|this list|the list|the following]: {text}",
    "[Can|Could] you [sort|order|put in order] [this|these|this list]? {text}",
    "[Can|Could] you [sort|order] {text}?",
    "[|Please ]sort[| the list] {text}[|.]",
    "[Give me|I need|Show me|Return] [this list|these|the list] [sorted|in order]: {text}",
    "[In order, please|Sorted|Sorted list of|In order|Put in order|Sorted, please]: {text}",
)
_BY_LETTER = {letter: [word for word in WORDS if word.startswith(letter)] for letter in ascii_lowercase}
_COMMON_LETTERS = [letter for letter, words in _BY_LETTER.items() if len(words) >= 4]
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
    text = draw.until("counted", lambda: sentence(draw)) if draw.chance(0.3) else " ".join(random_words(draw, 1, 8))
    words = text.split()
    answer = f"There {'is' if len(words) == 1 else 'are'} {len(words)} word{'' if len(words) == 1 else 's'}."
    return _work(draw, "count_words", draw.template("count", _COUNT).format(text=text), assistant(answer))


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
        words = _alike(draw) if draw.chance(0.4) else random_words(draw, 2, 4)
        given, answer = (", ".join(ordered) for ordered in (words, sorted(words)))
    return given, answer


def _alike(draw: Draw) -> list[str]:
    """Words that begin with the same letter, and perhaps one that does not: those whose order takes a second look."""

    def some() -> tuple[str, ...]:
        same = _BY_LETTER[draw.pick(_COMMON_LETTERS)]
        words = draw.random.sample(same, draw.between(2, 3))
        if draw.chance(0.4):
            words.insert(draw.between(0, len(words)), draw.pick(WORDS))
        return tuple(dict.fromkeys(words))

    return list(draw.until("words", some, key=" ".join))


def _text_or_words(draw: Draw) -> str:
    return random_text(draw) if draw.chance(0.3) else " ".join(random_words(draw, 1, 4))


def _work(draw: Draw, skill: str, request: str, answer: Message) -> Dialogue:
    # No polite framing here: a closing would read as part of the text.
    return Dialogue(skill=skill, messages=with_system(draw, (user(request), answer)))
