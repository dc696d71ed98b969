"""Model files that are broken or made to break us: refused by our own reader, or by a worker that may die of it."""

import random
import struct
from pathlib import Path

import pytest

from parley.core.errors import EngineFailed, ModelLoadFailed
from parley.core.gguf import InvalidModelFile, read_header
from parley.domain.catalog.model import detect_template
from parley.operations.weights_header import read_weights
from parley.serving.engines.child import Supervision
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.prompting.tokenizer import WorkerTokenizer
from tests.builders_engines import byte_ids, llama_engine, round_of, run_round
from tests.gguf_maker import Shape, model_bytes, vocabulary, write_model

WHOLE = model_bytes(Shape())
NUM_TENSORS_AT, NUM_FIELDS_AT, FIRST_KEY_AT = 8, 16, 24


def patched(position: int, layout: str, value: int) -> bytes:
    """The good file with one number overwritten."""
    return WHOLE[:position] + struct.pack("<" + layout, value) + WHOLE[position + struct.calcsize("<" + layout) :]


def after(marker: bytes) -> int:
    return WHOLE.index(marker) + len(marker)


def test_a_good_header_says_what_the_model_is(tmp_path: Path) -> None:
    header = read_header(write_model(tmp_path / "model.gguf", Shape(context_length=1024, num_layers=1)))
    tokens, _, _ = vocabulary(Shape())
    assert header.architecture == "llama"
    assert header.context_length == 1024
    assert header.num_tokens == len(tokens)
    assert header.fields["tokenizer.ggml.add_bos_token"] is False
    # Embedding and output, two norms of the layer and the last one, four square matrices, three of the feed-forward.
    assert header.num_parameters == 2 * len(tokens) * 64 + 3 * 64 + 4 * 64 * 64 + 3 * 64 * 128


HOSTILE = {
    "empty": b"",
    "too short": b"GGUF\x03\x00\x00\x00",
    "zeros": bytes(4096),
    "text": b"This is not a model. " * 100,
    "another magic": b"GGML" + WHOLE[4:],
    "big-endian": WHOLE[:4] + struct.pack(">I", 3) + WHOLE[8:],
    "version 1": patched(4, "I", 1),
    "version 99": patched(4, "I", 99),
    "2**63 tensors": patched(NUM_TENSORS_AT, "Q", 1 << 63),
    "one tensor more": patched(NUM_TENSORS_AT, "Q", 22),
    "2**63 fields": patched(NUM_FIELDS_AT, "Q", 1 << 63),
    "2**64 - 1 bytes of key": patched(FIRST_KEY_AT, "Q", (1 << 64) - 1),
    "a key longer than the file": patched(FIRST_KEY_AT, "Q", 60_000_000),
    "an unknown type": patched(after(b"general.name"), "I", 13),
    "an array of arrays": patched(after(b"tokenizer.ggml.tokens") + 4, "I", 9),
    "2**62 strings": patched(after(b"tokenizer.ggml.tokens") + 8, "Q", 1 << 62),
    "2**62 integers": patched(after(b"tokenizer.ggml.token_type") + 8, "Q", 1 << 62),
    "a string that wraps around": patched(after(b"tokenizer.ggml.tokens") + 16, "Q", (1 << 64) - 8),
    "nine dimensions": patched(after(b"token_embd.weight"), "I", 9),
    "no dimensions": patched(after(b"token_embd.weight"), "I", 0),
    "a dimension of nothing": patched(after(b"token_embd.weight") + 4, "Q", 0),
    "a dimension of 2**63": patched(after(b"token_embd.weight") + 4, "Q", 1 << 63),
    "dimensions whose product wraps": patched(after(b"token_embd.weight") + 12, "Q", 1 << 62),
    "an offset behind the file": patched(after(b"token_embd.weight") + 24, "Q", 1 << 40),
    "an offset between alignments": patched(after(b"token_embd.weight") + 24, "Q", 33),
    "truncated to a tenth": WHOLE[: len(WHOLE) // 10],
    "truncated inside the header": WHOLE[:2000],
    "truncated by one tensor": WHOLE[:-4096],
    "a text that is no UTF-8": WHOLE.replace(b"probe", b"\xff\xfe\xff\xfe\xff", 1),
    "two fields of one name": WHOLE.replace(b"general.file_type", b"llama.block_count", 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_j1_a_hostile_header_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(InvalidModelFile) as refused:
        read_header(path)
    assert str(refused.value).endswith(".")
    assert str(tmp_path) not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.gguf"):
        with pytest.raises(InvalidModelFile):
            read_header(path)


def test_j1_a_thousand_mutated_headers_never_surprise_the_reader(tmp_path: Path) -> None:
    path, chance = tmp_path / "model.gguf", random.Random(20230301)
    header_length = WHOLE.index(b"output_norm.weight")
    num_refused = 0
    for _ in range(1000):
        mutated = bytearray(WHOLE)
        for _ in range(chance.randint(1, 8)):
            mutated[chance.randrange(header_length)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        path.write_bytes(mutated)
        try:
            read_header(path)
        except InvalidModelFile:
            num_refused += 1
    # The rest changed a token's text or a harmless number.
    assert 100 < num_refused < 1000


async def test_j1_mutated_models_that_pass_the_reader_never_hurt_this_process(tmp_path: Path) -> None:
    """Whatever llama.cpp does with them, it does it in the worker: we get ModelLoadFailed, or an engine that answers."""
    path, chance = tmp_path / "model.gguf", random.Random(7)
    header_length = WHOLE.index(b"output_norm.weight")
    outcomes = {"failed": 0, "loaded": 0}
    while sum(outcomes.values()) < 12:
        mutated = bytearray(WHOLE)
        # The fields before the vocabulary: sizes, counts, types.
        for _ in range(3):
            mutated[chance.randrange(FIRST_KEY_AT, min(header_length, 900))] = chance.randrange(256)
        path.write_bytes(mutated)
        try:
            read_header(path)
        except InvalidModelFile:
            continue
        options = LlamaOptions(
            model=path, context_length=256, num_slots=1, num_threads=1, supervision=Supervision(load_seconds=10.0)
        )
        engine = LlamaEngine(options)
        try:
            await engine.start()
            await run_round(engine, round_of(byte_ids("a"), max_tokens=2))
            outcomes["loaded"] += 1
        except (ModelLoadFailed, EngineFailed):
            outcomes["failed"] += 1
        finally:
            await engine.aclose()
    assert outcomes["failed"] > 0


TEMPLATES = {
    "another process": "{{ cycler.__init__.__globals__.os.system('touch SENTINEL') }}",
    "the classes of Python": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "loops in loops": "{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}",
    "ten gigabytes": "{{ 'x' * 10000000000 }}",
    "itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "depth": "{{ " + "(" * 200_000 + "1" + ")" * 200_000 + " }}",
    "no template at all": "{% for %}{{",
}


@pytest.mark.parametrize("name", TEMPLATES)
async def test_j2_j3_a_models_own_template_is_never_run(tmp_path: Path, name: str) -> None:
    """llama.cpp's server would run it once when it loads: three of these ended or held it."""
    sentinel = tmp_path / "a-template-ran"
    shape = Shape(chat_template="<|im_start|>" + TEMPLATES[name].replace("SENTINEL", str(sentinel)))
    path = write_model(tmp_path / "hostile.gguf", shape)
    assert detect_template(read_weights(path).chat_template) == "chatml"
    async with llama_engine(tmp_path, shape, supervision=Supervision(load_seconds=20.0)) as engine:
        outcome = await run_round(engine, round_of(byte_ids("a"), max_tokens=2))
        assert outcome.usage.output_tokens > 0
    tokenizer = WorkerTokenizer(path)
    await tokenizer.start()
    await tokenizer.aclose()
    assert not sentinel.exists()
