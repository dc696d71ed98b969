"""The way of a request, on one page: resolve, prepare, admit, then an open Run that schedules, generates and settles."""

from parley.core.principal import Principal
from parley.core.requests import GenerationRequest
from parley.serving.run import Run


class Serving:
    """The stages joined. Built in `app.py`."""

    async def open(
        self, principal: Principal, request: GenerationRequest, *, request_id: str, received_at: float
    ) -> Run:
        """An open Run of this request, or the first refusal as a ParleyError. The caller closes the Run."""
        raise NotImplementedError
