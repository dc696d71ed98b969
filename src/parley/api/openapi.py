"""The OpenAPI 3.1 document, made from the route table and the wire types, so that it cannot say what is not so."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from parley.api.call import Access, Call, Handler
from parley.api.errors import ErrorResponse
from parley.api.openai.audio import create_transcription, create_translation
from parley.api.openai.chat import create_chat_completion
from parley.api.openai.completions import create_completion, create_engine_completion
from parley.api.openai.edits import create_edit, create_engine_edit
from parley.api.openai.engines import list_engines, refuse_chat, retrieve_engine
from parley.api.openai.models import list_models, retrieve_model
from parley.api.openai.retired import refuse
from parley.api.openai.schemas import audio, chat, completions, edits, models
from parley.api.operation import Operation
from parley.api.platform.described import PLATFORM_OPERATIONS
from parley.api.platform.replicas import ListReplicasResponse, Replica, list_replicas, load_model, unload_model
from parley.api.routing import Route

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")


# A handler that is missing here is in the document too, with a reply of which nothing is said.
OPERATIONS: Mapping[Handler, Operation] = MappingProxyType(
    {
        create_chat_completion: Operation(
            request=chat.CreateChatCompletionRequest,
            reply=chat.CreateChatCompletionResponse,
            chunk=chat.CreateChatCompletionStreamResponse,
        ),
        create_completion: Operation(
            request=completions.CreateCompletionRequest,
            reply=completions.CreateCompletionResponse,
            chunk=completions.CreateCompletionResponse,
        ),
        create_engine_completion: Operation(
            request=completions.CreateEngineCompletionRequest,
            reply=completions.CreateCompletionResponse,
            chunk=completions.CreateCompletionResponse,
        ),
        create_edit: Operation(request=edits.CreateEditRequest, reply=edits.CreateEditResponse),
        create_engine_edit: Operation(request=edits.CreateEngineEditRequest, reply=edits.CreateEditResponse),
        create_transcription: Operation(
            request=audio.CreateTranscriptionRequest,
            reply=audio.VerboseTranscript,
            chunk=audio.TranscriptDelta,
            last_chunk=audio.TranscriptDone,
            is_form=True,
        ),
        create_translation: Operation(
            request=audio.CreateTranslationRequest, reply=audio.VerboseTranscript, is_form=True
        ),
        list_models: Operation(reply=models.ListModelsResponse),
        retrieve_model: Operation(reply=models.Model),
        list_engines: Operation(reply=models.ListEnginesResponse),
        retrieve_engine: Operation(reply=models.Engine),
        load_model: Operation(reply=Replica),
        unload_model: Operation(reply=Replica),
        list_replicas: Operation(reply=ListReplicasResponse),
        refuse: Operation(is_retired=True),
        refuse_chat: Operation(is_retired=True),
        **PLATFORM_OPERATIONS,
    }
)


class OpenapiPage:
    """Handler of `GET /openapi.json`. `routes` may still be growing when it is handed in; it is read at the first call."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._body: bytes | None = None

    async def __call__(self, _call: Call) -> ASGIApp:
        """This document."""
        if self._body is None:
            self._body = msgspec.json.encode(openapi_document(self._routes, version=metadata.version("parley")))
        return Response(self._body, media_type="application/json")


def openapi_document(routes: Sequence[Route], *, version: str) -> dict[str, Any]:
    """The document, ready to be encoded as JSON. `version` is Parley's."""
    paths: dict[str, dict[str, Any]] = {}
    names: set[str] = set()
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe(route, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley",
            "version": version,
            "description": "The OpenAI platform of the ChatGPT and Whisper APIs, on your own machines.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key: `sk-...`."}},
        },
        "security": [{"key": []}],
    }


def _describe(route: Route, names: set[str]) -> dict[str, Any]:
    operation = OPERATIONS.get(route.handler, Operation())
    described: dict[str, Any] = {
        "operationId": _unused_name(route, names),
        "summary": (route.handler.__doc__ or route.path).strip().splitlines()[0],
        "responses": _responses(operation),
    }
    if operation.is_retired:
        described["deprecated"] = True
    if parameters := _PARAMETER.findall(route.path):
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
        ]
    if operation.request is not None:
        content = _form(operation.request) if operation.is_form else _json(operation.request)
        described["requestBody"] = {"required": True, "content": content}
    if route.access is Access.PUBLIC:
        described["security"] = []
    return described


def _unused_name(route: Route, names: set[str]) -> str:
    """The handler's name; where a handler has several routes, the later ones by their path."""
    # Some handlers are objects, which have a class for a name.
    name = getattr(route.handler, "__name__", type(route.handler).__name__)
    if name in names:
        name = "_".join(re.findall(r"\w+", f"{route.method.lower()} {route.path}"))
    names.add(name)
    return name


def _responses(operation: Operation) -> dict[str, Any]:
    failures = {
        status: {"description": description, "content": _json(ErrorResponse)}
        for status, description in (
            ("4XX", "The request cannot be served as it is; the message says why."),
            ("5XX", "The server failed, or is too busy; the request may be sent again."),
        )
    }
    if operation.is_retired:
        retired = {"description": "Retired; the message says what to use instead.", "content": _json(ErrorResponse)}
        return {"404": retired, **failures}
    success: dict[str, Any] = {"description": "OK"}
    if operation.reply is not None:
        success["content"] = _json(operation.reply)
        if operation.is_form:
            success["description"] = (
                "With `verbose_json` all of it, with `json` text and usage; else plain text or subtitles."
            )
            success["content"] |= {"text/plain": {"schema": {"type": "string"}}}
    if operation.chunk is not None:
        if operation.last_chunk is None:
            success["description"] = "The reply, or with `stream` server-sent events: chunks, then `[DONE]`."
            events: dict[str, Any] = _reference(operation.chunk)
        else:
            events = {"anyOf": [_reference(operation.chunk), _reference(operation.last_chunk)]}
        success["content"] |= {"text/event-stream": {"schema": events}}
    return {"200": success, **failures}


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    operations = [OPERATIONS.get(route.handler, Operation()) for route in routes]
    used = {kind: None for each in operations for kind in (each.request, each.reply, each.chunk, each.last_chunk)}
    kinds = [ErrorResponse, *[kind for kind in used if kind is not None]]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    return dict(components)


def _json(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(kind)}}


def _form(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"multipart/form-data": {"schema": _reference(kind)}}


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
