"""What models may take together: as the operator says, else three quarters of the machine; and what one is counted with."""

from pathlib import Path

import pytest

from parley.core.gguf import GgufHeader, read_header
from parley.infra.memory import machine_memory_bytes, memory_budget_bytes
from tests.gguf_maker import Shape, write_model


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
