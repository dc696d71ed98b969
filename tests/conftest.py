"""What every suite shares: the closed network, and one running server for the suites that drive it from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.live import LiveServer, running_server

LOOPBACK = ["127.0.0.1", "::1"]
# Suites of pure code: no socket at all. The others may talk to servers that they started on loopback.
WITHOUT_SOCKETS = ("unit", "architecture")
# How long an example takes is the machine's affair.
settings.register_profile("parley", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("parley")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        is_ours = here in item.path.parents
        if is_ours and item.path.relative_to(here).parts[0] not in WITHOUT_SOCKETS:
            item.add_marker(pytest.mark.allow_hosts(LOOPBACK))


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The product as `make serve` starts it, with the models that ship; shared by all tests that leave it as it was."""
    with running_server(tmp_path_factory.mktemp("live")) as server:
        yield server
