"""The byte-level BPE tokenizer: digits stand alone, special tokens come first, and llama.cpp splits text the same way."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from training.samples import END_OF_TEXT, SPECIAL_TOKENS, TURN_END, Piece

# llama.cpp's name for "each digit alone, then GPT-2's expression": what Digits and ByteLevel do below.
PRE_TOKENIZER_NAME = "smollm"
VOCABULARY_SIZE = 2048
# Between two capital letters. Texts are cut there before pieces are counted, so words in capitals stay single letters:
# how a word is spelled is then all that there is to know about its capitals.
_CAPITALS = re.compile(r"(?<=[A-Z])(?=[A-Z])")


def train_tokenizer(texts: Iterable[str], vocabulary_size: int = VOCABULARY_SIZE) -> Tokenizer:
    """A tokenizer trained on `texts`, which hold content alone. The first ids are the special tokens, in their order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((part for text in texts for part in _CAPITALS.split(text)), trainer)
    return tokenizer


def plain(text: str) -> str:
    """`text` without special tokens."""
    for special in SPECIAL_TOKENS:
        text = text.replace(special, "")
    return text


class PieceEncoder:
    """Turns the pieces of a sample into token ids, each piece by itself, with the learned ones marked."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._special = {text: tokenizer.token_to_id(text) for text in SPECIAL_TOKENS}
        self._cache: dict[str, list[int]] = {}

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, the special ones included."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def end_of_generation(self) -> frozenset[int]:
        """The ids after which nothing more is generated."""
        return frozenset({self._special[END_OF_TEXT], self._special[TURN_END]})

    @property
    def plain_ids(self) -> tuple[int, int]:
        """The first and the last id that are not special."""
        return len(SPECIAL_TOKENS), self.vocabulary_size - 1

    @property
    def padding(self) -> int:
        """The id that fills rows; it never counts in the loss."""
        return self._special[END_OF_TEXT]

    @classmethod
    def load(cls, path: Path) -> "PieceEncoder":
        """The encoder of a saved tokenizer."""
        return cls(Tokenizer.from_file(str(path)))

    def encode(self, pieces: Iterable[Piece]) -> tuple[list[int], list[bool]]:
        """Token ids, and for each whether it is learned."""
        ids: list[int] = []
        learned: list[bool] = []
        for piece in pieces:
            part = self._part(piece)
            ids += part
            learned += [piece.is_learned] * len(part)
        return ids, learned

    def content(self, text: str) -> list[int]:
        """Ids of text in which nothing is a special token."""
        if not any(special in text for special in SPECIAL_TOKENS):
            return list(self._tokenizer.encode(text).ids)
        return [token for part in _apart(text) for token in self._tokenizer.encode(part).ids]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, special tokens written out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def texts(self) -> list[str]:
        """The text of every token by its id; special tokens have none, parts of a character cannot be read."""
        return ["" if token < len(SPECIAL_TOKENS) else self.decode([token]) for token in range(self.vocabulary_size)]

    def _part(self, piece: Piece) -> list[int]:
        if piece.is_control:
            return self._control(piece.text)
        if piece.is_spelled:
            return [token for letter in piece.text for token in self._control(letter)]
        return self.content(piece.text)

    def _control(self, text: str) -> list[int]:
        if text not in self._cache:
            self._cache[text] = list(self._tokenizer.encode(text).ids)
        return self._cache[text]


def _apart(text: str) -> Iterator[str]:
    """Pieces of text cut inside every special token's spelling, so that none is promoted."""
    rest = text
    while rest:
        found = [(rest.index(special), special) for special in SPECIAL_TOKENS if special in rest]
        if not found:
            yield rest
            return
        start, _ = min(found)
        yield rest[: start + 1]
        rest = rest[start + 1 :]
