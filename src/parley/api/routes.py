"""Every route of Parley on one screen: method, path, handler, access level."""

from collections.abc import Awaitable, Callable

from parley.api.call import Access, Handler
from parley.api.door import DoorRoute, StaticPage
from parley.api.families import family_of
from parley.api.health import ReadinessPage, show_health
from parley.api.landing import LandingRoute, Page
from parley.api.metrics import show_metrics
from parley.api.openai import audio, chat, completions, edits, engines, models, retired
from parley.api.openapi import OpenapiPage
from parley.api.platform import (
    audit_logs,
    balances,
    costs,
    entrance,
    keys,
    organizations,
    projects,
    rate_limits,
    replicas,
    service_accounts,
    usage,
    usage_export,
    users,
)
from parley.api.routing import Route, RouteTable


def route_table(*, is_ready: Callable[[], Awaitable[bool]], page: Page, door: StaticPage) -> RouteTable:
    """The table. `is_ready` answers `/ready`, `page` draws `/`, `door` is what mails lead to.

    Only what says PUBLIC is open without a key.
    """
    routes: list[Route] = []
    routes += [
        _get("/", LandingRoute(page), Access.PUBLIC),
        _get("/health", show_health, Access.PUBLIC),
        _get("/ready", ReadinessPage(is_ready), Access.PUBLIC),
        _get("/metrics", show_metrics, Access.METRICS),
        # It describes the list that it stands in.
        _get("/openapi.json", OpenapiPage(routes), Access.PUBLIC),
        _get("/v1/models", models.list_models, Access.READ),
        _get("/v1/models/{model}", models.retrieve_model, Access.READ),
        _post("/v1/models/{model}/load", replicas.load_model, Access.OPERATOR),
        _post("/v1/models/{model}/unload", replicas.unload_model, Access.OPERATOR),
        _get("/v1/replicas", replicas.list_replicas, Access.OPERATOR),
        _get("/v1/engines", engines.list_engines, Access.READ),
        _get("/v1/engines/{engine_id}", engines.retrieve_engine, Access.READ),
        _post("/v1/chat/completions", chat.create_chat_completion, Access.MODEL_REQUEST),
        _post("/v1/completions", completions.create_completion, Access.MODEL_REQUEST),
        _post("/v1/engines/{engine_id}/completions", completions.create_engine_completion, Access.MODEL_REQUEST),
        _post("/v1/edits", edits.create_edit, Access.MODEL_REQUEST),
        _post("/v1/engines/{engine_id}/edits", edits.create_engine_edit, Access.MODEL_REQUEST),
        _post("/v1/audio/transcriptions", audio.create_transcription, Access.MODEL_REQUEST),
        _post("/v1/audio/translations", audio.create_translation, Access.MODEL_REQUEST),
        _post("/v1/engines/{engine_id}/chat/completions", engines.refuse_chat, Access.MODEL_REQUEST),
        # Retired before 2023; they answer 404 with the reason.
        _post("/v1/engines/{engine_id}/search", retired.refuse, Access.READ),
        _post("/v1/answers", retired.refuse, Access.READ),
        _post("/v1/classifications", retired.refuse, Access.READ),
        # The links of mails; their tokens are in the fragment, which no server hears.
        _get("/invite", DoorRoute(door), Access.PUBLIC),
        _get("/reset", DoorRoute(door), Access.PUBLIC),
        *_accounts(),
        *_administration(),
    ]
    return RouteTable(routes)


def _accounts() -> list[Route]:
    """Ours: how people come in."""
    return [
        _post("/v1/account/sign_up", entrance.sign_up, Access.PUBLIC),
        _post("/v1/account/verify", entrance.verify, Access.PUBLIC),
        _post("/v1/account/log_in", entrance.log_in, Access.PUBLIC),
        _post("/v1/account/ask_reset", entrance.ask_reset, Access.PUBLIC),
        _post("/v1/account/reset", entrance.reset, Access.PUBLIC),
        _post("/v1/account/accept_invite", entrance.accept_invite, Access.PUBLIC),
        _post("/v1/account/log_out", entrance.log_out, Access.SESSION),
        _get("/v1/account/session", entrance.show_session, Access.SESSION),
    ]


def _administration() -> list[Route]:
    """OpenAI's administration, and ours where it has none: key changes and rotation, export, other organizations."""
    own, project = "/v1/organization", "/v1/organization/projects/{project_id}"
    account = f"{project}/service_accounts/{{service_account_id}}"
    return [
        _get("/v1/organizations", organizations.list_organizations, Access.OPERATOR),
        _post("/v1/organizations", organizations.create_organization, Access.OPERATOR),
        _get("/v1/organizations/{organization_id}", organizations.retrieve_organization, Access.OPERATOR),
        _post("/v1/organizations/{organization_id}", organizations.modify_organization, Access.OPERATOR),
        _get("/v1/organizations/{organization_id}/credits", balances.show_credits, Access.OPERATOR),
        _post("/v1/organizations/{organization_id}/credits", balances.create_top_up, Access.OPERATOR),
        _get(f"{own}/credits", balances.show_own_credits, Access.ADMIN_READ),
        _get(own, organizations.retrieve_own_organization, Access.ADMIN_READ),
        _get(f"{own}/audit_logs", audit_logs.list_audit_logs, Access.ADMIN),
        _get(f"{own}/audit_logs/export", audit_logs.export_audit_logs, Access.ADMIN),
        _get(f"{own}/admin_api_keys", keys.list_admin_keys, Access.ADMIN),
        _post(f"{own}/admin_api_keys", keys.create_admin_key, Access.ADMIN),
        _get(f"{own}/admin_api_keys/{{key_id}}", keys.retrieve_admin_key, Access.ADMIN),
        _delete(f"{own}/admin_api_keys/{{key_id}}", keys.delete_admin_key, Access.ADMIN),
        _get(f"{own}/users", users.list_users, Access.ADMIN_READ),
        _get(f"{own}/users/{{user_id}}", users.retrieve_user, Access.ADMIN_READ),
        _post(f"{own}/users/{{user_id}}", users.modify_user, Access.ADMIN),
        _delete(f"{own}/users/{{user_id}}", users.delete_user, Access.ADMIN),
        _get(f"{own}/invites", users.list_invites, Access.ADMIN_READ),
        _post(f"{own}/invites", users.create_invite, Access.ADMIN),
        _get(f"{own}/invites/{{invite_id}}", users.retrieve_invite, Access.ADMIN_READ),
        _delete(f"{own}/invites/{{invite_id}}", users.delete_invite, Access.ADMIN),
        _get(f"{own}/projects", projects.list_projects, Access.ADMIN_READ),
        _post(f"{own}/projects", projects.create_project, Access.ADMIN),
        _get(project, projects.retrieve_project, Access.ADMIN_READ),
        _post(project, projects.modify_project, Access.ADMIN),
        _post(f"{project}/archive", projects.archive_project, Access.ADMIN),
        _get(f"{project}/users", projects.list_project_users, Access.ADMIN_READ),
        _post(f"{project}/users", projects.create_project_user, Access.ADMIN),
        _get(f"{project}/users/{{user_id}}", projects.retrieve_project_user, Access.ADMIN_READ),
        _post(f"{project}/users/{{user_id}}", projects.modify_project_user, Access.ADMIN),
        _delete(f"{project}/users/{{user_id}}", projects.delete_project_user, Access.ADMIN),
        _get(f"{project}/service_accounts", service_accounts.list_service_accounts, Access.ADMIN_READ),
        _post(f"{project}/service_accounts", service_accounts.create_service_account, Access.ADMIN),
        _get(account, service_accounts.retrieve_service_account, Access.ADMIN_READ),
        _post(account, service_accounts.modify_service_account, Access.ADMIN),
        _delete(account, service_accounts.delete_service_account, Access.ADMIN),
        _post(f"{account}/api_keys", service_accounts.create_service_account_key, Access.ADMIN),
        _get(f"{project}/rate_limits", rate_limits.list_rate_limits, Access.ADMIN_READ),
        _post(f"{project}/rate_limits/{{rate_limit_id}}", rate_limits.modify_rate_limit, Access.ADMIN),
        _get(f"{own}/costs", costs.list_costs, Access.ADMIN_READ),
        _get(f"{own}/usage/completions", usage.usage_of_completions, Access.ADMIN_READ),
        _get(f"{own}/usage/embeddings", usage.usage_of_embeddings, Access.ADMIN_READ),
        _get(f"{own}/usage/moderations", usage.usage_of_moderations, Access.ADMIN_READ),
        _get(f"{own}/usage/images", usage.usage_of_images, Access.ADMIN_READ),
        _get(f"{own}/usage/audio_transcriptions", usage.usage_of_transcriptions, Access.ADMIN_READ),
        # What OpenAI counts besides, of which there is nothing here.
        *(_get(f"{own}/usage/{kind}", usage.usage_of_nothing, Access.ADMIN_READ) for kind in usage.KINDS_OF_NOTHING),
        _get(f"{own}/usage/export", usage_export.export_usage, Access.ADMIN_READ),
        _get(f"{project}/api_keys", keys.list_project_keys, Access.ADMIN_READ),
        _post(f"{project}/api_keys", keys.create_project_key, Access.KEYS),
        _get(f"{project}/api_keys/{{key_id}}", keys.retrieve_project_key, Access.ADMIN_READ),
        _post(f"{project}/api_keys/{{key_id}}", keys.modify_project_key, Access.KEYS),
        _post(f"{project}/api_keys/{{key_id}}/rotate", keys.rotate_project_key, Access.KEYS),
        _delete(f"{project}/api_keys/{{key_id}}", keys.delete_project_key, Access.KEYS),
    ]


def _get(path: str, handler: Handler, access: Access) -> Route:
    return _route("GET", path, handler, access)


def _post(path: str, handler: Handler, access: Access) -> Route:
    return _route("POST", path, handler, access)


def _delete(path: str, handler: Handler, access: Access) -> Route:
    return _route("DELETE", path, handler, access)


def _route(method: str, path: str, handler: Handler, access: Access) -> Route:
    # `/usage/completions` has the word of a family in it, and runs no model.
    family = family_of(path) if access is Access.MODEL_REQUEST else None
    return Route(method=method, path=path, handler=handler, access=access, family=family)
