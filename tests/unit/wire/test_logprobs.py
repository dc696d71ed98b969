"""Log-probabilities in both shapes: bytes that are no characters, the first echoed token, offsets over parts."""

import math

from hypothesis import given
from hypothesis import strategies as st

from parley.api.openai.logprobs import CompletionScores, chat_logprobs
from tests.builders_wire import scored


def test_chat_shows_text_bytes_and_the_asked_number_of_candidates():
    (token,) = chat_logprobs([scored("a", -0.1, ("a", -0.1), ("b", -3.0), ("c", -4.0))], 2).content
    assert (token.token, token.logprob, token.bytes) == ("a", -0.1, [97])
    assert [(top.token, top.logprob, top.bytes) for top in token.top_logprobs] == [("a", -0.1, [97]), ("b", -3.0, [98])]


def test_half_a_character_is_written_as_its_bytes():
    half = scored(b"\xe2\x80", -1.0)
    assert chat_logprobs([half], 0).content[0].token == "\\xe2\\x80"
    assert CompletionScores(0, start=0).of([half]).tokens == ["bytes:\\xe2\\x80"]


def test_the_chosen_token_is_among_the_candidates_even_when_it_was_improbable():
    scores = CompletionScores(2, start=0).of([scored("z", -9.0, ("a", -0.1), ("b", -3.0), ("c", -4.0))])
    assert scores.top_logprobs == [{"a": -0.1, "b": -3.0, "z": -9.0}]


def test_with_0_candidates_there_is_the_chosen_token_alone():
    assert CompletionScores(0, start=0).of([scored("z", -9.0, ("a", -0.1))]).top_logprobs == [{"z": -9.0}]


def test_of_two_candidates_that_read_alike_the_more_probable_counts():
    scores = CompletionScores(2, start=0).of([scored("a", -0.1, ("a", -0.1), ("a", -5.0))])
    assert scores.top_logprobs == [{"a": -0.1}]


def test_the_first_token_of_an_echoed_prompt_has_no_log_probability():
    scores = CompletionScores(1, start=0).of([scored("a", None), scored("b", -1.0)])
    assert (scores.token_logprobs, scores.top_logprobs) == ([None, -1.0], [None, {"b": -1.0}])


def test_what_json_cannot_say_is_very_unlikely():
    scores = CompletionScores(1, start=0).of([scored("a", -math.inf, ("b", math.nan))])
    assert (scores.token_logprobs, scores.top_logprobs) == ([-9999.0], [{"b": -9999.0, "a": -9999.0}])


def test_offsets_go_on_over_the_parts_of_a_stream():
    scores = CompletionScores(0, start=5)
    assert scores.of([scored("ab"), scored("c")]).text_offset == [5, 7]
    assert scores.of([scored("d")]).text_offset == [8]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.data())
def test_offsets_lead_to_the_character_that_the_token_is_part_of(text, draw):
    raw = text.encode()
    cuts = sorted(draw.draw(st.sets(st.integers(1, max(len(raw) - 1, 1)), max_size=5)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if raw[start:end]]
    offsets = CompletionScores(0, start=0).of([scored(piece) for piece in pieces]).text_offset
    position = 0
    for piece, offset in zip(pieces, offsets, strict=True):
        before = len(text[:offset].encode())
        assert before <= position < before + len(text[offset].encode())
        position += len(piece)
