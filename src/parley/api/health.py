"""`/health` says that this process answers; `/ready` says whether it is worth sending it work."""

from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse, Response

from parley.api.call import Call
from parley.core.errors import Overloaded


async def show_health(_: Call) -> Response:
    """200 as long as the event loop turns, also while the server stops."""
    return JSONResponse({"status": "ok"})


class ReadinessPage:
    """Handler of `/ready`: 200 when `is_ready` says so, else 503 for load balancers to look elsewhere."""

    def __init__(self, is_ready: Callable[[], Awaitable[bool]]) -> None:
        self._is_ready = is_ready

    async def __call__(self, _: Call) -> Response:
        if not await self._is_ready():
            raise Overloaded(
                "The server is not ready: it is loading a model, a model does not answer, or it is stopping.",
                retry_after_seconds=1.0,
            )
        return JSONResponse({"status": "ready"})
