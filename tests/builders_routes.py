"""The product's route table, for tests that walk it."""

from collections.abc import Sequence

from parley.api.routes import route_table
from parley.api.routing import Route
from parley.core.snapshot import Snapshot


class BlankPage:
    """A page with nothing on it."""

    content_security_policy = "default-src 'none'"
    body = b""

    def render(self, base_url: str, entries: Sequence[tuple[str, Snapshot, bool]]) -> bytes:
        return b""


async def always_ready() -> bool:
    """What `/ready` of a server without models is told."""
    return True


def declared_routes() -> tuple[Route, ...]:
    """Every route as `api/routes.py` declares it."""
    return route_table(is_ready=always_ready, page=BlankPage(), door=BlankPage()).routes
