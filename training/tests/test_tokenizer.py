"""Our tokenizer: digits alone, special tokens only where they are meant, and the same ids as llama.cpp gives."""

from pathlib import Path
from random import Random

import pytest

from training.export import Precision, write_gguf
from training.samples import SPECIAL_TOKENS, answer_pieces, assistant, dialogue_prompt, spelling_assistant, user
from training.tests.builders import small_encoder, small_model
from training.tests.llama import running_llama
from training.tokenizer import PieceEncoder

_POOLS = (
    "abc XYZ 0123456789", "  \t\n\r\u3000\u00a0", "'s't're've'm'll'd'S", "éßñøÅ中文字你好１２３٣Ⅻ½²", "!?.,;:-_+*/=<>|{}[]()#@&%$", "🙂👩‍👧e\u0301\u200b\ufeff\x01\x7f", "اردو हिन्दी ไทย 한국어 日本",
)  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> PieceEncoder:
    return small_encoder(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def _random_text(random: Random) -> str:
    if random.random() < 0.7:
        return "".join(random.choice(random.choice(_POOLS)) for _ in range(random.randint(1, 40)))
    ranges = ((1, 0x2FF), (0x300, 0xD7FF), (0xE000, 0x1FFFF))
    return "".join(chr(random.randint(*random.choice(ranges))) for _ in range(random.randint(1, 15)))


def test_each_digit_is_a_token(encoder: PieceEncoder) -> None:
    assert [encoder.decode([token]) for token in encoder.content("1024")] == ["1", "0", "2", "4"]


def test_text_comes_back_from_its_tokens(encoder: PieceEncoder) -> None:
    random = Random(5)
    for _ in range(300):
        text = _random_text(random)
        assert encoder.decode(encoder.content(text)) == text


@pytest.mark.parametrize("special", SPECIAL_TOKENS)
def test_a_special_token_in_content_stays_text(encoder: PieceEncoder, special: str) -> None:
    specials = range(len(SPECIAL_TOKENS))
    ids = encoder.content(f"a {special}{special} b")
    assert not any(token in specials for token in ids)
    assert encoder.decode(ids) == f"a {special}{special} b"


def test_scaffolding_is_promoted_and_the_role_is_one_token(encoder: PieceEncoder) -> None:
    ids, _ = encoder.encode(dialogue_prompt((user("Hi"), assistant("Hello"))))
    turn_start, turn_end = SPECIAL_TOKENS.index("<|im_start|>"), SPECIAL_TOKENS.index("<|im_end|>")
    assert ids.count(turn_start) == 3
    assert ids.count(turn_end) == 2
    assert encoder.decode([ids[1]]) == "user"


def test_words_in_capitals_are_letters(encoder: PieceEncoder) -> None:
    assert [encoder.decode([token]) for token in encoder.content("BREAD")] == list("BREAD")


def test_the_texts_of_all_tokens_are_told_apart_from_special_ones(encoder: PieceEncoder) -> None:
    texts = encoder.texts()
    assert len(texts) == encoder.vocabulary_size
    assert texts[: len(SPECIAL_TOKENS)] == [""] * len(SPECIAL_TOKENS)
    for word in ("b", " the", "7"):
        assert encoder.content(word) == [texts.index(word)]


def test_a_spelled_answer_is_the_same_text_letter_by_letter(encoder: PieceEncoder) -> None:
    ids, learned = encoder.encode(answer_pieces(spelling_assistant("the bread")))
    assert [encoder.decode([token]) for token in ids] == list("the bread")
    assert all(learned)


def test_llama_cpp_gives_the_same_ids_for_thousands_of_random_texts(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path / "tokenizer.json")
    write_gguf(
        small_model(encoder.vocabulary_size), tmp_path / "tokenizer.json", tmp_path / "model.gguf", Precision.F32
    )
    random = Random(6)
    texts = [_random_text(random) for _ in range(2000)]
    with running_llama(tmp_path / "model.gguf") as llama:
        differing = [text for text in texts if llama.tokens(text) != encoder.content(text)]
    assert differing == []
