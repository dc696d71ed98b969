"""A grammar over a vocabulary of words: what it lets through before each token."""

import json

import numpy as np

from parley.workers.constraint import Constraint, Grammars

END = 256
PIECES = [*(bytes((number,)) for number in range(256)), b"<|end|>", b'{"', b"name", b'":', b' "', b'"}']
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False, "key_separator": ": "},
}


def constraint() -> Constraint:
    return Grammars(PIECES, special=[END], ends=[END]).constraint(f"start: %json {json.dumps(SCHEMA)}\n")


def allowed_by(constrained: Constraint) -> set[bytes]:
    row = np.zeros(len(PIECES), dtype=np.float32)
    constrained.bend(row)
    return {piece for piece, score in zip(PIECES, row, strict=True) if score == 0}


def test_a_text_that_is_given_may_be_spelled_in_words_as_well_as_in_letters() -> None:
    constrained = constraint()
    assert allowed_by(constrained) == {b"{", b'{"'}
    constrained.accept(PIECES.index(b'{"'))
    assert allowed_by(constrained) == {b"n", b"name"}


def test_an_answer_in_the_models_own_words_comes_to_its_end() -> None:
    constrained = constraint()
    for piece in (b'{"', b"name", b'":', b' "', b"x", b'"}'):
        assert piece in allowed_by(constrained)
        constrained.accept(PIECES.index(piece))
    assert b"x" not in allowed_by(constrained)
