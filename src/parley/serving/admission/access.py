"""May this caller use this model, and can this model do what is asked? Decided before anything is counted."""

from parley.core.errors import InvalidRequest, ModelNotFound, NotFound, PermissionDenied
from parley.core.principal import Principal
from parley.core.requests import Request
from parley.core.snapshot import Capability, Snapshot, Weights

_NEEDED = {
    "/v1/chat/completions": Capability.CHAT,
    "/v1/completions": Capability.COMPLETE,
    "/v1/edits": Capability.EDIT,
    "/v1/audio/transcriptions": Capability.TRANSCRIBE,
    "/v1/audio/translations": Capability.TRANSLATE,
}


def authorize(principal: Principal, request: Request, snapshot: Snapshot) -> Weights:
    """The weights that will answer. Raises PermissionDenied, NotFound, ModelNotFound, or InvalidRequest for a model that hears
    and cannot translate; looks nothing up."""
    allowed = principal.allowed_models
    if allowed is not None and request.model not in allowed and snapshot.name not in allowed:
        raise PermissionDenied(
            f"Project `{principal.project_id}` does not have access to model `{request.model}`", code="model_not_found"
        )
    needed, weights = _NEEDED[request.endpoint], snapshot.weights
    if needed is Capability.TRANSLATE and weights is not None and Capability.TRANSCRIBE in snapshot.capabilities:
        _check_translation(request, snapshot, weights)
        weights = snapshot.translating_weights or weights
    elif needed not in snapshot.capabilities:
        can = ", ".join(sorted(snapshot.capabilities))
        raise NotFound(
            f"The model `{request.model}` is not supported in the {request.endpoint} endpoint; it can do: {can}.",
            param="model",
            code="model_not_supported",
        )
    if weights is None:
        raise ModelNotFound(request.model)
    return weights


def _check_translation(request: Request, snapshot: Snapshot, weights: Weights) -> None:
    """Nothing is ever sent for translation to what cannot translate: it would answer with something else."""
    if Capability.TRANSLATE not in snapshot.capabilities:
        raise InvalidRequest(
            f"The model `{request.model}` cannot translate: what answers for it here is {weights.name}, which only "
            "transcribes. Add a multilingual Whisper model that can (`parley models add`).",
            param="model",
            code="model_not_supported",
        )
