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
from parley.api.door import DoorRoute
from parley.api.errors import ErrorResponse
from parley.api.health import ReadinessPage, show_health
from parley.api.landing import LandingRoute
from parley.api.metrics import show_metrics
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
_ALWAYS = MappingProxyType(
    {
        "400": "The request cannot be served as it is; the message says why.",
        "414": "The URL is too long.",
        "431": "The header fields are too large.",
        "500": "The server failed; the request may be sent again.",
        "503": "The server cannot take the request now; it may be sent again.",
    }
)
_OF_CHANGES = MappingProxyType({"409": "Something else has happened meanwhile, or is under way."})
_WITH_BODY = MappingProxyType(
    {
        "408": "The body came too slowly.",
        "413": "The body is too large.",
        "415": "The body is encoded in a way that is not read.",
    }
)
_WITH_CALLER = MappingProxyType(
    {
        "401": "Who calls is not known, or may not do this.",
        "403": "The caller may not do this with what is named.",
        "404": "There is no such thing for the caller.",
        "429": "A limit, or the balance, refuses; or too many wrong keys or passwords came.",
    }
)


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
            media=("text/plain",),
        ),
        create_translation: Operation(
            request=audio.CreateTranslationRequest,
            reply=audio.VerboseTranscript,
            is_form=True,
            media=("text/plain",),
        ),
        list_models: Operation(reply=models.ListModelsResponse),
        retrieve_model: Operation(reply=models.Model),
        list_engines: Operation(reply=models.ListEnginesResponse),
        retrieve_engine: Operation(reply=models.Engine),
        load_model: Operation(reply=Replica),
        unload_model: Operation(reply=Replica),
        list_replicas: Operation(reply=ListReplicasResponse),
        show_health: Operation(media=("application/json",)),
        show_metrics: Operation(media=("text/plain",)),
        refuse: Operation(is_retired=True),
        refuse_chat: Operation(is_retired=True),
        **PLATFORM_OPERATIONS,
    }
)


def operation_of(route: Route) -> Operation:
    """What is said of a route. Some handlers are objects, and known by their class."""
    return OPERATIONS.get(route.handler) or _PAGES.get(type(route.handler)) or Operation()


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


_PAGES: Mapping[type, Operation] = MappingProxyType(
    {
        OpenapiPage: Operation(media=("application/json",)),
        ReadinessPage: Operation(media=("application/json",)),
        LandingRoute: Operation(media=("text/html",)),
        DoorRoute: Operation(media=("text/html",)),
    }
)


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
    operation = operation_of(route)
    described: dict[str, Any] = {
        "operationId": _unused_name(route, names),
        "summary": (route.handler.__doc__ or route.path).strip().splitlines()[0],
        "responses": _responses(route, operation),
    }
    if operation.is_retired:
        described["deprecated"] = True
    if parameters := [*_path_parameters(route), *_query_parameters(operation)]:
        described["parameters"] = parameters
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


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = _PARAMETER.findall(route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": parameter.name,
            "in": "query",
            "required": parameter.is_required,
            "description": parameter.description,
            "schema": parameter.schema,
        }
        for parameter in operation.query
    ]


def _responses(route: Route, operation: Operation) -> dict[str, Any]:
    failures = {
        status: {"description": description, "content": _json(ErrorResponse)}
        for status, description in _failures(route).items()
    }
    if operation.is_retired:
        retired = {"description": "Retired; the message says what to use instead.", "content": _json(ErrorResponse)}
        return {**failures, "404": retired}
    return {"200": _success(operation), **failures}


def _success(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "OK", "content": {media: {} for media in operation.media}}
    if operation.reply is not None:
        success["content"] |= _json(operation.reply)
    if operation.chunk is not None:
        ending = "" if operation.last_chunk else ", then `[DONE]`"
        success["description"] = f"The reply, or with `stream` server-sent events: chunks{ending}."
        success["content"] |= {"text/event-stream": {"schema": _event(operation.chunk, operation.last_chunk)}}
    return success


def _event(chunk: type[msgspec.Struct], last: type[msgspec.Struct] | None) -> dict[str, Any]:
    """What each event of a stream is: a chunk, or `[DONE]` or its own last one, or, where it breaks off, the reason."""
    kinds = [kind for kind in (chunk, last, ErrorResponse) if kind is not None]
    content = {"anyOf": [_reference(kind) for kind in kinds]}
    shaped = {"type": "string", "contentMediaType": "application/json", "contentSchema": content}
    return {
        "type": "object",
        "properties": {"data": shaped if last else {"anyOf": [{"const": "[DONE]"}, shaped]}},
        "required": ["data"],
    }


def _failures(route: Route) -> dict[str, str]:
    """The statuses that a route may answer beside 200, with what each means."""
    statuses = dict(_ALWAYS)
    if route.method != "GET":
        statuses |= _OF_CHANGES
    if route.method == "POST":
        statuses |= _WITH_BODY
    if route.access is not Access.PUBLIC or route.method == "POST":
        statuses |= _WITH_CALLER
    return dict(sorted(statuses.items()))


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    operations = [operation_of(route) for route in routes]
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
