"""The closed lists of words and names from which requests are put together."""

from training.corpus.draw import Draw, Side

WORDS = tuple(
    """
    apple bread water river stone table chair house garden window door street city village mountain forest flower tree leaf grass
    sun moon star cloud rain snow wind storm summer winter spring autumn morning evening night day week month year hour minute
    dog cat horse cow sheep goat pig duck hen fish bird mouse lion tiger bear wolf fox rabbit frog snake spider bee ant
    red green blue yellow white black brown orange purple pink grey gold silver
    milk cheese butter egg meat soup rice corn salt sugar honey tea coffee juice cake lemon cherry banana grape melon peach plum pear
    book paper pen pencil letter word page story song music dance game ball toy doll box bag cup plate spoon fork knife
    hand foot head eye ear nose mouth arm leg finger hair heart face
    king queen farmer teacher doctor driver baker sailor soldier painter singer writer friend child mother father sister brother
    big small tall short long wide deep high low old new young fast slow hot cold warm cool dry wet hard soft light dark
    happy sad kind brave quiet loud clean dirty rich poor strong weak easy early late full empty open good nice great
    walk run jump swim fly sing read write eat drink sleep wake work play build make find give take bring send buy sell
    train ship boat car bus bike plane road bridge tower castle church school shop market farm field lake sea island beach
    coat hat shoe shirt sock glove ring lamp clock key map ticket basket bottle candle mirror carpet pillow blanket
    number question answer test example name place time world idea
    """.split()
)
NAMES = tuple(
    """
    Anna Ben Clara David Emma Felix Greta Henry Ida Jack Kate Leo Mia Noah Olivia Paul Rosa Sam Tina Victor Wendy Adam Bella Carl
    Diana Erik Fiona George Hannah Ivan Julia Karl Laura Max Nina Oscar Petra Robert Sara Thomas Ursula Walter Alice Bob Charlie Daisy
    Edgar Flora Gina Harry Irene James Karen Lucas Maria Nora Otto Peter Ruth Simon Tom Vera William Zoe Amir Bruno Carmen Dora Elias
    Frida Gustav Helga Igor Jasmin Kevin Lena Marco Nadia Omar Paula Quentin Rita Stefan Tara Uma Viktor Yara Alan Grace Ada Linus
    Abel Agnes Aisha Albert Alex Ali Amelia Andre Angela Anton Arthur Astrid Axel Barbara Beatrice Bernard Boris Brenda Brian Camille
    Carla Cecil Celia Chen Chloe Claudia Colin Cora Dana Daniel Dennis Derek Dmitri Dorothy Douglas Eddie Edith Eleanor Ella Elsa Eric
    Esther Eva Evan Farid Fatima Ferdinand Fred Gabriel Gerald Gloria Gordon Hakim Harold Hassan Hector Heidi Howard Hugo Ingrid Isaac
    Isabel Jane Javier Jenny Joan Joe John Jonas Jose Judith June Kai Karim Keith Kim Kira Kurt Lars Leila Leonard Lily Lisa Louis Lucy
    Luis Lydia Mabel Magda Manuel Marcus Martha Martin Mary Matteo Mehmet Michael Milan Miriam Mona Nancy Naomi Nathan Nicolas Nigel
    Odette Olaf Oliver Pablo Pamela Patrick Pedro Peggy Philip Priya Rachel Rafael Ralph Ravi Rebecca Richard Roger Roland Sabine Salma
    Samuel Sandra Sergei Sofia Sonia Stella Steven Susan Sven Sylvia Tamara Tanya Theo Tim Toby Tony Ulrich Valerie Vanessa Vincent Wanda
    Wilma Xavier Yasmin Yusuf Yvonne Zara Zelda
    """.split()
)


def random_phrase(draw: Draw, num_words: int) -> str:
    """That many words of the list, not split by side."""
    return " ".join(draw.pick(WORDS) for _ in range(num_words))


def random_words(draw: Draw, low: int, high: int) -> list[str]:
    """Between `low` and `high` different words whose combination belongs to the draw's side.

    In training some are made up: whoever has seen any letters as a word looks at the word and not at the list.
    """
    words = list(draw.until("words", lambda: tuple(draw.random.sample(WORDS, draw.between(low, high))), key=" ".join))
    if draw.side is Side.TRAIN and draw.chance(0.3):
        words = [made_up_word(draw) if draw.chance(0.5) else word for word in words]
    return words


def random_word(draw: Draw) -> str:
    """A word of the list; in training sometimes a made-up one, or a name."""
    if draw.side is Side.TRAIN and draw.chance(0.4):
        return made_up_word(draw) if draw.chance(0.7) else random_name(draw)
    return draw.pick(WORDS)


def random_name(draw: Draw) -> str:
    """A first name of the draw's side."""
    return draw.template("name", NAMES)


def any_name(draw: Draw) -> str:
    """A first name; in training half the time a made-up one, so that names are copied and not recalled."""
    return made_up_name(draw) if draw.side is Side.TRAIN and draw.chance(0.5) else random_name(draw)


def random_text(draw: Draw) -> str:
    """A short text of the draw's side: words, a name with words, a sentence, or made-up words."""
    return draw.until("text", lambda: _any_text(draw))


def sentence(draw: Draw) -> str:
    """A simple sentence."""
    return draw.pick(_SENTENCES).format(
        n=draw.pick(_NOUNS),
        m=draw.pick(_NOUNS),
        a=draw.pick(_ADJECTIVES),
        b=draw.pick(_ADJECTIVES),
        name=any_name(draw),
    )


def made_up_word(draw: Draw) -> str:
    """A word that means nothing and can be spoken."""
    syllables = [_syllable(draw) for _ in range(draw.pick((1, 2, 2, 2, 3)))]
    if draw.chance(_DOUBLED_SHARE):
        place = draw.between(0, len(syllables) - 1)
        syllables.insert(place, syllables[place])
    return "".join(syllables)


def _syllable(draw: Draw) -> str:
    return draw.pick(_ONSETS) + draw.pick(_VOWELS) + draw.pick(_CODAS)


def made_up_name(draw: Draw) -> str:
    """A made-up word with a capital letter: what a rare name looks like. It is none of the listed names, of either side."""
    while (name := made_up_word(draw).capitalize()) in NAMES:
        pass
    return name


def _any_text(draw: Draw) -> str:
    kind = draw.between(0, 3)
    if kind == 0:
        return random_phrase(draw, draw.between(1, 6))
    if kind == 1:
        return sentence(draw)
    if kind == 2:
        return f"{any_name(draw)} {random_phrase(draw, draw.between(1, 3))} {draw.between(0, 999)}"
    return " ".join(made_up_name(draw) for _ in range(draw.between(1, 3)))


# Who copies by looking for what came after the last piece must also meet a piece that comes twice, as in Barbara.
_DOUBLED_SHARE = 0.25
_NOUNS = WORDS[: WORDS.index("red")]
_ADJECTIVES = WORDS[WORDS.index("big") : WORDS.index("walk")]
_SENTENCES = (
    "The {n} is {a}.", "The {a} {n} is near the {m}.", "I like the {a} {n}.", "{name} has a {a} {n}.", "There is a {n} in the {m}.", "We saw a {a} {n} and a {m}.",
    "{name} likes the {n}.", "This {n} is {a} and {b}.", "My {n} is very {a}.", "Where is the {a} {n}?", "The {n} and the {m} are {a}.", "{name} wants a {n}!",
)  # fmt: skip
_ONSETS = (*"b c d f g h j k l m n p r s t v w z".split() * 2, *"br ch cl dr fl fr gr kr pl pr qu sh sk sl sn sp st str sw th tr y".split(), "")  # fmt: skip
_VOWELS = (*"a e i o u".split() * 4, *"ai ea ee ia ie io oa oo ou y".split())
_CODAS = (*[""] * 24, *"n r l s t m d k b g p x".split() * 2, *"ck ll nd ng nt rd rk rt ss st th lf ld rn".split())
