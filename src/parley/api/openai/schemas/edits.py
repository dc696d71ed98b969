"""Wire types of `/v1/edits`, as it was in 2023, and of its older path `/v1/engines/{engine_id}/edits`."""

from typing import Annotated, Literal

from msgspec import Meta

from parley.api.openai.schemas.shared import (
    CompletionUsage,
    ModelName,
    ReplyStruct,
    RequestStruct,
    Temperature,
    TopP,
)


class EditParameters(RequestStruct, kw_only=True):
    """Everything but the model."""

    instruction: str
    input: str | None = None
    n: Annotated[int, Meta(ge=1, le=20)] | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None


class CreateEditRequest(EditParameters, kw_only=True):
    """The body of `POST /v1/edits`."""

    model: ModelName


class CreateEngineEditRequest(EditParameters, kw_only=True):
    """The body of `POST /v1/engines/{engine_id}/edits`, whose path names the model."""

    model: ModelName | None = None


class EditChoice(ReplyStruct, kw_only=True):
    """One edited text."""

    text: str
    index: int
    finish_reason: str


class CreateEditResponse(ReplyStruct, kw_only=True):
    """The reply of `POST /v1/edits`. It never had an id."""

    object: Literal["edit"] = "edit"
    created: int
    choices: list[EditChoice]
    usage: CompletionUsage
