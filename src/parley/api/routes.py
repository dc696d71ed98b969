"""Every route of Parley on one screen: method, path, handler, access level."""

from collections.abc import Callable

from parley.api.call import Access, Handler
from parley.api.health import ReadinessPage, show_health
from parley.api.landing import LandingRoute, Page
from parley.api.openai import chat, completions, edits, engines, models, retired
from parley.api.openapi import OpenapiPage
from parley.api.platform import replicas
from parley.api.routing import Route, RouteTable


def route_table(*, is_ready: Callable[[], bool], page: Page) -> RouteTable:
    """The table. `is_ready` answers `/ready`, `page` draws `/`. Only what says PUBLIC is open without a key."""
    routes: list[Route] = []
    routes += [
        _get("/", LandingRoute(page), Access.PUBLIC),
        _get("/health", show_health, Access.PUBLIC),
        _get("/ready", ReadinessPage(is_ready), Access.PUBLIC),
        # It describes the list that it stands in.
        _get("/openapi.json", OpenapiPage(routes), Access.PUBLIC),
        _get("/v1/models", models.list_models, Access.READ),
        _get("/v1/models/{model}", models.retrieve_model, Access.READ),
        _post("/v1/models/{model}/load", replicas.load_model, Access.ADMIN),
        _post("/v1/models/{model}/unload", replicas.unload_model, Access.ADMIN),
        _get("/v1/replicas", replicas.list_replicas, Access.ADMIN),
        _get("/v1/engines", engines.list_engines, Access.READ),
        _get("/v1/engines/{engine_id}", engines.retrieve_engine, Access.READ),
        _post("/v1/chat/completions", chat.create_chat_completion, Access.MODEL_REQUEST),
        _post("/v1/completions", completions.create_completion, Access.MODEL_REQUEST),
        _post("/v1/engines/{engine_id}/completions", completions.create_engine_completion, Access.MODEL_REQUEST),
        _post("/v1/edits", edits.create_edit, Access.MODEL_REQUEST),
        _post("/v1/engines/{engine_id}/edits", edits.create_engine_edit, Access.MODEL_REQUEST),
        _post("/v1/engines/{engine_id}/chat/completions", engines.refuse_chat, Access.READ),
        # Retired before 2023; they answer 404 with the reason.
        _post("/v1/engines/{engine_id}/search", retired.refuse, Access.READ),
        _post("/v1/answers", retired.refuse, Access.READ),
        _post("/v1/classifications", retired.refuse, Access.READ),
    ]
    return RouteTable(routes)


def _get(path: str, handler: Handler, access: Access) -> Route:
    return Route(method="GET", path=path, handler=handler, access=access)


def _post(path: str, handler: Handler, access: Access) -> Route:
    return Route(method="POST", path=path, handler=handler, access=access)
