"""Each row of the list of faults that this version answers for has a test that is named after it."""

import re
from pathlib import Path

ROWS = (
    *(f"a{number}" for number in range(1, 19)),
    *(f"b{number}" for number in range(1, 12)),
    *(f"c{number}" for number in range(1, 13)),
    *(f"e{number}" for number in (1, 2, 3, 4, 5, 10)),
    *(f"i{number}" for number in range(1, 17)),
    *(f"k{number}" for number in (1, 2, 3)),
)
_TEST = re.compile(r"^(?:async )?def test_((?:[a-z]\d{1,2}_)+)", re.MULTILINE)


def test_every_row_has_a_test_of_its_name() -> None:
    named = set()
    for path in (Path(__file__).parents[1]).rglob("test_*.py"):
        for found in _TEST.findall(path.read_text()):
            named |= set(found.rstrip("_").split("_"))
    assert set(ROWS) - named == set()
