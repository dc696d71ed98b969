"""No route is open by accident: each states who may call it, and the open ones are listed here a second time."""

from parley.api.call import Access
from tests.builders_routes import declared_routes

PUBLIC = {"/", "/invite", "/reset", "/health", "/ready", "/openapi.json"} | {
    f"/v1/account/{verb}" for verb in ("sign_up", "verify", "log_in", "ask_reset", "reset", "accept_invite")
}


def test_only_the_listed_paths_are_open_without_a_key() -> None:
    routes = declared_routes()
    assert {route.path for route in routes if route.access is Access.PUBLIC} == PUBLIC


def test_every_route_states_an_access_level() -> None:
    routes = declared_routes()
    assert len(routes) > 10
    assert all(isinstance(route.access, Access) for route in routes)


def test_what_runs_a_model_belongs_to_a_family_that_a_key_can_be_limited_to() -> None:
    assert {
        route.path for route in declared_routes() if route.access is Access.MODEL_REQUEST and not route.family
    } == set()


def test_what_runs_a_model_asks_for_the_right_to_do_so() -> None:
    routes = declared_routes()
    running = {route.path for route in routes if route.access is Access.MODEL_REQUEST}
    paths = {"/v1/chat/completions", "/v1/completions", "/v1/edits"}
    under_engines = {"/v1/engines/{engine_id}/completions", "/v1/engines/{engine_id}/edits"}
    assert paths | under_engines <= running
