"""The model card's table of scores, written between two marks."""

from pathlib import Path

_OPEN = "<!-- scores: written by training.evaluate -->"
_CLOSE = "<!-- end of scores -->"


def write_scores(card: Path, table: str) -> None:
    """Puts `table` between the card's marks. Raises ValueError when the card has none."""
    text = card.read_text()
    before, opening, rest = text.partition(_OPEN)
    _, closing, after = rest.partition(_CLOSE)
    if not opening or not closing:
        raise ValueError(f"{card} has no place for scores: {_OPEN} ... {_CLOSE}")
    card.write_text(f"{before}{_OPEN}\n{table}\n{_CLOSE}{after}")
