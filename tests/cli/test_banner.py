"""What `parley serve` shows: the address, the key or its place, the model honestly, and a line to paste."""

from pathlib import Path

from parley.app import Started
from parley.cli.serve import banner
from parley.core.snapshot import EngineKind, Weights

WEIGHTS = Weights(
    name="parley-mini",
    engine=EngineKind.LLAMA,
    path=Path("/m.gguf"),
    sha256="0" * 64,
    context_length=8192,
    template="chatml",
    num_parameters=4_951_296,
    description="A small demonstration model.",
)


def started(owner_key: str | None) -> Started:
    return Started(
        url="http://127.0.0.1:8000", weights=WEIGHTS, owner_key=owner_key, owner_key_path=Path("/d/owner.key")
    )


def test_the_first_start_shows_the_key_and_uses_it_in_the_line_to_paste() -> None:
    shown = banner(started("sk-new"))
    assert "http://127.0.0.1:8000/v1" in shown
    assert 'Authorization: Bearer sk-new"' in shown
    assert "/d/owner.key" in shown


def test_later_starts_show_where_the_key_is() -> None:
    shown = banner(started(None))
    assert "key    in /d/owner.key" in shown
    assert "Bearer $(cat '/d/owner.key')" in shown


def test_the_model_is_named_for_what_it_is() -> None:
    assert "parley-mini, 5.0 million parameters. A small demonstration model." in banner(started(None))
