"""What models may take together: as the operator says, else three quarters of the machine; and what one is counted with."""

from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.core.gguf import GgufHeader, read_header
from parley.core.snapshot import EngineKind, Weights
from parley.infra.folder import DataFolder
from parley.infra.memory import machine_memory_bytes, memory_budget_bytes
from parley.operations.records import catalog_files
from parley.runtimes import Runtimes
from tests.builders_records import settings_in
from tests.gguf_maker import Shape, write_model
from tests.whisper_maker import make_whisper


def header(**fields: int) -> GgufHeader:
    named = {f"llama.{name.replace('__', '.')}": value for name, value in fields.items()}
    return GgufHeader(
        version=3,
        fields={"general.architecture": "llama", **named},
        array_lengths={},
        num_tensors=0,
        num_parameters=0,
    )


def test_the_operators_word_counts():
    assert memory_budget_bytes(512) == 512 * 2**20


def test_without_it_three_quarters_of_the_machine_are_for_models():
    installed = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < machine_memory_bytes() <= installed
    assert memory_budget_bytes(None) == machine_memory_bytes() * 3 // 4


def test_a_made_models_cache_is_counted_from_its_header(tmp_path):
    shape = Shape(num_layers=3, width=64, num_heads=4)
    # Keys and values of 64 numbers in each of 3 layers, 2 bytes each.
    assert read_header(write_model(tmp_path / "model.gguf", shape)).cache_bytes_per_token == 3 * (64 + 64) * 2


async def test_a_whisper_is_counted_with_the_windows_that_it_decodes_together(tmp_path):
    made = make_whisper(tmp_path / "whisper")
    size = sum(file.stat().st_size for file in made.iterdir())
    weights = Weights(name="w", engine=EngineKind.WHISPER, path=made, sha256="ab", context_length=0, template="plain")
    # Keys and values of 1,500 places, 16 numbers wide, in one layer, 4 bytes each.
    window = 2 * 1_500 * 16 * 4
    for num_slots, num_joined in ((None, 16), (3, 3)):
        settings = settings_in(tmp_path / "d", num_slots=num_slots)
        runtimes = Runtimes(settings, catalog_files(DataFolder(settings.data)), FakeClock())
        assert await runtimes.memory_bytes(weights) == size + num_joined * window + (512 << 20)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # Llama 3 8B: 32 layers, 8 cached heads of 128.
        (
            {"block_count": 32, "embedding_length": 4096, "attention__head_count": 32, "attention__head_count_kv": 8},
            131072,
        ),
        # Heads of a size of their own.
        (
            {
                "block_count": 2,
                "embedding_length": 640,
                "attention__head_count": 4,
                "attention__head_count_kv": 1,
                "attention__key_length": 256,
                "attention__value_length": 256,
            },
            2048,
        ),
        ({"block_count": 2, "embedding_length": 64, "attention__head_count": 4}, 512),
        ({"block_count": 2}, 0),
    ],
)
def test_the_cache_of_models_that_share_or_size_their_heads(fields, expected):
    assert header(**fields).cache_bytes_per_token == expected
