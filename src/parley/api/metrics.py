"""`/metrics`: how the server does, for Prometheus. For keys with the scope `metrics`, and operators."""

from starlette.responses import Response
from starlette.types import ASGIApp

from parley.api.call import Call
from parley.infra.metrics import MEDIA_TYPE


async def show_metrics(call: Call) -> ASGIApp:
    """Every metric, in Prometheus' text format."""
    return Response(call.services.metrics.page(), headers={"content-type": MEDIA_TYPE})
