"""Wire types of `/v1/models` and `/v1/engines`."""

from typing import Literal

from parley.api.openai.schemas.shared import ReplyStruct


class ModelPermission(ReplyStruct, kw_only=True):
    """2023's permission object. It says what every key may do with the model that can use it at all."""

    id: str
    object: Literal["model_permission"] = "model_permission"
    created: int
    allow_create_engine: bool = False
    allow_sampling: bool = True
    allow_logprobs: bool = True
    allow_search_indices: bool = False
    allow_view: bool = True
    allow_fine_tuning: bool = False
    organization: str = "*"
    group: None = None
    is_blocking: bool = False


class Model(ReplyStruct, kw_only=True):
    """A name that can be asked for: in 2023's shape, then what this server adds.

    `snapshot` is what the name stands for now. `context_length` is the window that is really served, which may be
    smaller than `promised_context_length`, what the name stands for elsewhere. `weights` names what answers; null where
    nothing is installed that can.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    permission: list[ModelPermission]
    root: str
    parent: str | None
    snapshot: str
    shutdown_date: str | None
    context_length: int
    promised_context_length: int
    capabilities: list[str]
    weights: str | None
    description: str | None


class ListModelsResponse(ReplyStruct, kw_only=True):
    """The reply of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]


class Engine(ReplyStruct, kw_only=True):
    """The older name for a model; `ready` says whether something is installed that can answer."""

    id: str
    object: Literal["engine"] = "engine"
    created: int | None
    owner: str
    permissions: None = None
    ready: bool


class ListEnginesResponse(ReplyStruct, kw_only=True):
    """The reply of `GET /v1/engines`."""

    object: Literal["list"] = "list"
    data: list[Engine]
