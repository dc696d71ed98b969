"""May this caller use this model, and can this model do what is asked? Decided before anything is counted."""

from parley.core.errors import ModelNotFound, NotFound, PermissionDenied
from parley.core.principal import Principal
from parley.core.requests import GenerationRequest
from parley.core.snapshot import Capability, Snapshot, Weights

_NEEDED = {
    "/v1/chat/completions": Capability.CHAT,
    "/v1/completions": Capability.COMPLETE,
    "/v1/edits": Capability.EDIT,
}


def authorize(principal: Principal, request: GenerationRequest, snapshot: Snapshot) -> Weights:
    """The weights that will answer. Raises PermissionDenied, NotFound or ModelNotFound; looks nothing up."""
    allowed = principal.allowed_models
    if allowed is not None and request.model not in allowed and snapshot.name not in allowed:
        raise PermissionDenied(
            f"Project `{principal.project_id}` does not have access to model `{request.model}`", code="model_not_found"
        )
    needed = _NEEDED[request.endpoint]
    if needed not in snapshot.capabilities:
        can = ", ".join(sorted(snapshot.capabilities))
        raise NotFound(
            f"The model `{request.model}` is not supported in the {request.endpoint} endpoint; it can do: {can}.",
            param="model",
            code="model_not_supported",
        )
    if snapshot.weights is None:
        raise ModelNotFound(request.model)
    return snapshot.weights
