"""Opens loopback for the tests that ask llama.cpp; the rest of the network stays closed."""

from pathlib import Path

import pytest

_LOOPBACK = ["127.0.0.1", "::1"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.allow_hosts(_LOOPBACK))
