"""The tokenizer worker and its client: trust of text, exact round trips, and what happens when the worker dies."""

import array
import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from parley.core.errors import EngineFailed, ModelLoadFailed, Overloaded
from parley.core.llama_library import library_path
from parley.core.requests import ChatMessage
from parley.core.template import Role
from parley.core.tokenizer import Segment
from parley.serving.prompting.render import render
from parley.serving.prompting.templates import TEMPLATES
from parley.serving.prompting.tokenizer import WorkerTokenizer
from parley.workers.libllama import ATTRIBUTE_STRIPS_BEFORE, ATTRIBUTE_STRIPS_BEHIND, LibLlama
from parley.workers.runs import RunTokenizer
from tests.builders_engines import HANG_SECONDS
from tests.builders_tools import prompt, user
from tests.gguf_maker import (
    FILL_IN_THE_MIDDLE,
    SPECIAL_TOKENS,
    Shape,
    vocabulary,
    write_model,
    write_sentencepiece,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKED = Shape(markers=("<tool_call>", "</tool_call>", "[INST]"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerTokenizer]:
    tokenizer = WorkerTokenizer(write_model(tmp_path_factory.mktemp("tokenizer") / "model.gguf", MARKED))
    await tokenizer.start()
    yield tokenizer
    await tokenizer.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spaced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerTokenizer]:
    async with sentencepiece(tmp_path_factory.mktemp("spaced"), controls=INST, markers=("<tool>",)) as tokenizer:
        yield tokenizer


async def text_of(tokenizer: WorkerTokenizer, ids: list[int]) -> str:
    return b"".join(await tokenizer.pieces(ids)).decode()


async def test_the_vocabularys_facts(tokenizer: WorkerTokenizer) -> None:
    tokens, _, _ = vocabulary(MARKED)
    facts = tokenizer.vocabulary
    assert facts.num_tokens == len(tokens)
    assert facts.longest_token_bytes == len("<|endoftext|>") + 1 == len("<|fim_prefix|>")
    assert facts.special_tokens == {text: tokens.index(text) for text in (*SPECIAL_TOKENS, *MARKED.markers)}
    assert facts.bos == ()
    assert tokens.index("<|im_end|>") in facts.end_of_generation
    assert facts.fim == tuple(tokens.index(text) for text in FILL_IN_THE_MIDDLE)


async def test_a_model_without_fim_that_wants_bos_says_so(tmp_path: Path) -> None:
    tokenizer = WorkerTokenizer(write_model(tmp_path / "model.gguf", Shape(has_fim=False, adds_bos=True)))
    await tokenizer.start()
    try:
        assert tokenizer.vocabulary.fim is None
        assert tokenizer.vocabulary.bos == (0,)
        # The caller puts it where it belongs; no segment gets one by itself.
        assert 0 not in await tokenizer.encode([Segment("the", False)])
    finally:
        await tokenizer.aclose()


@pytest.mark.parametrize("special", [*SPECIAL_TOKENS, *MARKED.markers])
@pytest.mark.parametrize("around", ["{}", "the {} and", "{0}{0}", "<{}>", "é{}€", "{0}\n{0}"])
async def test_no_special_token_is_promoted_from_content(tokenizer: WorkerTokenizer, special: str, around: str) -> None:
    text = around.format(special)
    ids = await tokenizer.encode([Segment(text, False)])
    assert not set(ids) & set(tokenizer.vocabulary.special_tokens.values())
    assert await text_of(tokenizer, ids) == text


@pytest.mark.parametrize("special", [*SPECIAL_TOKENS, *MARKED.markers])
async def test_scaffolding_promotes_special_tokens(tokenizer: WorkerTokenizer, special: str) -> None:
    ids = await tokenizer.encode([Segment(f"{special}the\n", True)])
    assert ids[0] == tokenizer.vocabulary.special_tokens[special]


async def test_a_special_token_cut_over_two_segments_is_not_promoted(tokenizer: WorkerTokenizer) -> None:
    segments = [Segment("<|im_", False), Segment("start|>", False), Segment("<|im_", True), Segment("end|>", True)]
    ids = await tokenizer.encode(segments)
    assert not set(ids) & set(tokenizer.vocabulary.special_tokens.values())


async def test_segments_are_tokenised_each_by_itself(tokenizer: WorkerTokenizer) -> None:
    assert len(await tokenizer.encode([Segment("the", False)])) == 1
    assert len(await tokenizer.encode([Segment("t", False), Segment("he", False)])) == 3


async def test_nothing_gives_no_ids(tokenizer: WorkerTokenizer) -> None:
    assert await tokenizer.encode([]) == []
    assert await tokenizer.encode([Segment("", False), Segment("", True)]) == []


@settings(max_examples=150)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
async def test_every_text_comes_back_as_it_was(tokenizer: WorkerTokenizer, text: str) -> None:
    assert await text_of(tokenizer, await tokenizer.encode([Segment(text, False)])) == text


async def test_the_calls_of_a_worker_that_died_are_answered_by_its_successor(tmp_path: Path) -> None:
    tokenizer = WorkerTokenizer(write_model(tmp_path / "model.gguf"))
    await tokenizer.start()
    try:
        first = await tokenizer.encode([Segment("the", False)])
        pid = tokenizer.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        waiting = [asyncio.create_task(tokenizer.encode([Segment("the", False)])) for _ in range(20)]
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        assert await asyncio.gather(*waiting) == [first] * 20
        assert tokenizer.pid != pid
    finally:
        await tokenizer.aclose()


async def test_a_call_whose_worker_dies_twice_fails_and_the_next_one_works(tmp_path: Path) -> None:
    tokenizer = WorkerTokenizer(write_model(tmp_path / "model.gguf"))
    await tokenizer.start()
    try:
        killed: set[int | None] = {None}
        # Seconds of work, so that it is still at it when its second worker dies.
        waiting = asyncio.create_task(tokenizer.encode([Segment("the cat and é " * 400_000, False)]))
        # It is asked before it dies: one that is dead already would be replaced without a failure.
        await asyncio.sleep(0)
        for _ in range(2):
            async with asyncio.timeout(HANG_SECONDS):
                while tokenizer.pid in killed:
                    await asyncio.sleep(0.01)
            killed.add(tokenizer.pid)
            os.kill(tokenizer.pid or 0, signal.SIGKILL)
        with pytest.raises(EngineFailed):
            await waiting
        assert await tokenizer.encode([Segment("the", False)])
    finally:
        await tokenizer.aclose()


async def test_a_cancelled_call_gives_its_answer_to_nobody_else(tokenizer: WorkerTokenizer) -> None:
    long, short = [Segment("the cat " * 50_000, False)], [Segment("the", False)]
    expected = await tokenizer.encode(short)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                await tokenizer.encode(long)
        assert await tokenizer.encode(short) == expected


async def test_too_many_waiting_calls_are_refused(tmp_path: Path) -> None:
    tokenizer = WorkerTokenizer(write_model(tmp_path / "model.gguf"), max_waiting=3)
    await tokenizer.start()
    try:
        calls = [tokenizer.encode([Segment("the", False)]) for _ in range(10)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 7
        assert await tokenizer.encode([Segment("the", False)])
    finally:
        await tokenizer.aclose()


async def test_a_file_that_is_no_model_is_refused_with_the_runtimes_words(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    tokenizer = WorkerTokenizer(path)
    with pytest.raises(ModelLoadFailed) as refused:
        await tokenizer.start()
    assert "version" in refused.value.detail
    await tokenizer.aclose()


async def test_a_worker_that_stands_still_is_ended_when_a_questions_time_is_up(tmp_path: Path) -> None:
    """Also when its pipe is full: then nothing more can be said to it, not even that the answer is not wanted."""
    tokenizer = WorkerTokenizer(write_model(tmp_path / "model.gguf"), answer_seconds=2.0)
    await tokenizer.start()
    try:
        stopped = tokenizer.pid or 0
        os.kill(stopped, signal.SIGSTOP)
        asking = [tokenizer.encode([Segment("the cat " * 20_000, False)]) for _ in range(5)]
        async with asyncio.timeout(HANG_SECONDS):
            failures = await asyncio.gather(*asking, return_exceptions=True)
        # Those whose time is not up when it is ended are answered by its successor.
        assert EngineFailed in {type(failure) for failure in failures} <= {EngineFailed, list}
        assert await tokenizer.encode([Segment("the", False)])
        assert tokenizer.pid != stopped
    finally:
        await tokenizer.aclose()


async def test_large_texts_never_block_the_loop(tokenizer: WorkerTokenizer) -> None:
    """Eight texts of 1 MB beside a heartbeat: reading one takes the worker dozens of its beats."""
    num_beats = 0

    async def heartbeat() -> None:
        nonlocal num_beats
        while True:
            await asyncio.sleep(0.005)
            num_beats += 1

    beating = asyncio.create_task(heartbeat())
    text = "the cat and é " * 75_000
    answers = await asyncio.gather(*(tokenizer.encode([Segment(text, False)]) for _ in range(8)))
    beating.cancel()
    assert len({len(ids) for ids in answers}) == 1
    # Read on the loop, each text would let one beat through.
    assert num_beats > 5 * len(answers)


# Where [INST] is a token of its own (Mistral's tokenizer 3), and where it is text (Llama 2, Mistral's 1).
INST = ("[INST]", "[/INST]")


@asynccontextmanager
async def sentencepiece(folder: Path, **changes: object) -> AsyncIterator[WorkerTokenizer]:
    tokenizer = WorkerTokenizer(write_sentencepiece(folder / "vocabulary.gguf", **changes))
    await tokenizer.start()
    try:
        yield tokenizer
    finally:
        await tokenizer.aclose()


async def pieces_of(tokenizer: WorkerTokenizer, *segments: Segment) -> list[str]:
    return [piece.decode() for piece in await tokenizer.pieces(await tokenizer.encode(segments))]


async def chat_pieces(tokenizer: WorkerTokenizer, family: str, *messages: ChatMessage) -> list[str]:
    return await pieces_of(tokenizer, *render(TEMPLATES[family], prompt(*messages)))


TURNS = (user("Hello user"), ChatMessage(role=Role.ASSISTANT, content="Hi"), user("the"))


async def test_a_prompt_in_segments_has_the_ids_of_the_whole_template(tmp_path: Path) -> None:
    async with sentencepiece(tmp_path) as tokenizer:
        segments = render(TEMPLATES["mistral-v1"], prompt(*TURNS))
        whole = Segment("".join(segment.text for segment in segments), is_control=True)
        assert whole.text == "<s>[INST] Hello user [/INST] Hi</s>[INST] the [/INST]"
        ids = await tokenizer.encode(segments)
        assert ids == await tokenizer.encode([whole])
        library = LibLlama(library_path())
        model = library.load_model(str(tmp_path / "vocabulary.gguf"), vocabulary_only=True)
        vocabulary = library.api.llama_model_get_vocab(model)
        # What llama.cpp makes of the whole text by itself, and what Llama 2's makers made of it.
        assert ids == library.tokenize(vocabulary, whole.text.encode(), is_control=True).tolist()
        assert await pieces_of(tokenizer, *segments) == [
            *("<s>", " [", "INST", "]", " Hello", " ", "user", " [", "/", "INST", "]", " Hi", "</s>"),
            *(" [", "INST", "]", " the", " [", "/", "INST", "]"),
        ]


@pytest.mark.parametrize("puts_space", [None, True, False])
async def test_a_marks_own_space_is_neither_doubled_nor_lost(tmp_path: Path, puts_space: bool | None) -> None:
    async with sentencepiece(tmp_path, controls=INST, puts_space=puts_space) as tokenizer:
        assert await chat_pieces(tokenizer, "mistral", *TURNS) == [
            *("<s>", "[INST]", " Hello", " ", "user", "[/INST]", " Hi", "</s>", "[INST]", " the", "[/INST]"),
        ]


async def test_white_space_that_a_mark_swallows_is_swallowed(tmp_path: Path) -> None:
    ids = RunTokenizer(
        lambda text: array.array("i", list(text)),
        {1_000: ("<l>", ATTRIBUTE_STRIPS_BEFORE), 1_001: ("<r>", ATTRIBUTE_STRIPS_BEHIND)},
        lambda text: [text],
        puts_space=True,
    ).encode([(b"a \n<l>", True), (b"b", False), (b"<r>\n", True), (b" c ", False)])
    assert ids.tolist() == [*b" a", 1_000, *b" b", 1_001, *b" c "]


async def test_an_answer_that_came_with_its_space_is_written_as_it_was(tmp_path: Path) -> None:
    async with sentencepiece(tmp_path, controls=INST) as tokenizer:
        spaced = structs.replace(TURNS[1], content=" Hi")
        assert await chat_pieces(tokenizer, "mistral", TURNS[0], spaced) == await chat_pieces(
            tokenizer, "mistral", *TURNS[:2]
        )


async def test_content_that_begins_with_spaces_keeps_them(tmp_path: Path) -> None:
    async with sentencepiece(tmp_path, controls=INST) as tokenizer:
        assert (await chat_pieces(tokenizer, "mistral", user(" Hello")))[2:4] == [" ", " Hello"]
        assert await pieces_of(tokenizer, Segment("Hello", False)) == [" Hello"]
        assert await pieces_of(tokenizer, Segment(" Hello", False)) == [" ", " Hello"]


HOSTILE = ("<s>", "</s>", "[INST]", "[/INST]", "<unk>", "<tool>")


@pytest.mark.parametrize("special", HOSTILE)
@pytest.mark.parametrize("around", ["{}", "Hello {} Hi", "{0}{0}", "<{}>", "\n{0}\n"])
async def test_no_special_token_is_promoted_from_content_between_spaces(
    tmp_path: Path, special: str, around: str
) -> None:
    text = around.format(special)
    async with sentencepiece(tmp_path, controls=INST, markers=("<tool>",)) as tokenizer:
        ids = await tokenizer.encode([Segment("<s>[INST] ", True), Segment(text, False), Segment("[/INST]", True)])
        specials = tokenizer.vocabulary.special_tokens
        assert [each for each in ids if each in specials.values()] == [specials[mark] for mark in ("<s>", *INST)]
        assert await text_of(tokenizer, ids) == f"<s>[INST] {text}[/INST]"


async def test_no_special_token_is_promoted_over_the_edge_of_content_and_scaffolding(tmp_path: Path) -> None:
    async with sentencepiece(tmp_path, controls=INST, markers=("<tool>",)) as tokenizer:
        specials = set(tokenizer.vocabulary.special_tokens.values())
        for left, right in (("<to", "ol>"), ("[IN", "ST]"), ("<", "s>")):
            for is_first_control in (True, False):
                pair = [Segment(left, is_first_control), Segment(right, not is_first_control)]
                ids = await tokenizer.encode(pair)
                assert not specials.intersection(ids)
                assert await text_of(tokenizer, ids) == f" {left}{right}"


@settings(max_examples=100)
@given(
    parts=st.lists(st.tuples(st.text(st.sampled_from("He lo<tol>s/[INST]\né"), max_size=8), st.booleans()), max_size=6)
)
async def test_every_text_between_spaces_comes_back_and_content_promotes_nothing(
    spaced: WorkerTokenizer, parts: list[tuple[str, bool]]
) -> None:
    # Scaffolding here has no special tokens of its own: whatever there is came from content, or over an edge.
    segments = [
        Segment(text.replace("<", "(").replace("[", "("), True) if is_ours else Segment(text, False)
        for text, is_ours in parts
    ]
    ids = await spaced.encode(segments)
    said = "".join(segment.text for segment in segments)
    first = next((segment for segment in segments if segment.text), None)
    has_space = first is not None and first.is_control and said.startswith(" ")
    assert not set(ids) & set(spaced.vocabulary.special_tokens.values())
    assert await text_of(spaced, ids) == (said if has_space or not said else f" {said}")
