"""What the OpenAPI document says of the handlers of accounts and administration."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from parley.api.call import Handler
from parley.api.operation import Operation, QueryParameter
from parley.api.platform import (
    audit_logs,
    balances,
    costs,
    entrance,
    keys,
    organizations,
    projects,
    queries,
    rate_limits,
    service_accounts,
    usage,
    usage_export,
    users,
)
from parley.api.platform.schemas import replies, requests


def _list_of(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A page of such objects, for the document; `listing.Listing` is what is sent."""
    fields = [
        ("object", Literal["list"]),
        ("data", list[kind]),  # type: ignore[valid-type] # the type is made here
        ("first_id", str | None),
        ("last_id", str | None),
        ("has_more", bool),
    ]
    return msgspec.defstruct(f"List{kind.__name__}Response", fields, kw_only=True)


def _listed(kind: type[msgspec.Struct], *more: QueryParameter, usual: int = 20) -> Operation:
    return Operation(reply=_list_of(kind), query=(*queries.page(usual=usual), *more))


def _made(request: type[msgspec.Struct], reply: type[msgspec.Struct]) -> Operation:
    return Operation(request=request, reply=reply)


_USAGE = Operation(reply=replies.UsagePage, query=queries.sums(usage.PAGES, tuple(usage.DIMENSIONS)))

PLATFORM_OPERATIONS: Mapping[Handler, Operation] = MappingProxyType(
    {
        entrance.sign_up: _made(requests.SignUpRequest, replies.Accepted),
        entrance.verify: _made(requests.VerifyRequest, replies.SessionUser),
        entrance.log_in: _made(requests.LogInRequest, replies.SessionUser),
        entrance.log_out: Operation(reply=replies.Accepted),
        entrance.show_session: Operation(reply=replies.SessionUser),
        entrance.ask_reset: _made(requests.AskResetRequest, replies.Accepted),
        entrance.reset: _made(requests.ResetRequest, replies.Accepted),
        entrance.accept_invite: _made(requests.AcceptInviteRequest, replies.SessionUser),
        organizations.retrieve_own_organization: Operation(reply=replies.Organization),
        organizations.list_organizations: _listed(replies.Organization),
        organizations.create_organization: _made(requests.CreateOrganizationRequest, replies.Organization),
        organizations.retrieve_organization: Operation(reply=replies.Organization),
        organizations.modify_organization: _made(requests.UpdateOrganizationRequest, replies.Organization),
        audit_logs.list_audit_logs: Operation(
            reply=audit_logs.ListAuditLogs, query=queries.audit(*queries.page(), queries.BEFORE)
        ),
        audit_logs.export_audit_logs: Operation(query=queries.exported(), media=("application/jsonl", "text/csv")),
        keys.list_admin_keys: _listed(replies.AdminKey),
        keys.create_admin_key: _made(requests.CreateAdminKeyRequest, replies.AdminKey),
        keys.retrieve_admin_key: Operation(reply=replies.AdminKey),
        keys.delete_admin_key: Operation(reply=replies.Deleted),
        keys.list_project_keys: _listed(replies.ProjectKey),
        keys.create_project_key: _made(requests.CreateKeyRequest, replies.ProjectKey),
        keys.retrieve_project_key: Operation(reply=replies.ProjectKey),
        keys.modify_project_key: _made(requests.UpdateKeyRequest, replies.ProjectKey),
        keys.rotate_project_key: _made(requests.RotateKeyRequest, replies.ProjectKey),
        keys.delete_project_key: Operation(reply=replies.Deleted),
        users.list_users: _listed(replies.User, queries.EMAILS),
        users.retrieve_user: Operation(reply=replies.User),
        users.modify_user: _made(requests.UpdateUserRequest, replies.User),
        users.delete_user: Operation(reply=replies.Deleted),
        users.list_invites: _listed(replies.Invite),
        users.create_invite: _made(requests.CreateInviteRequest, replies.Invite),
        users.retrieve_invite: Operation(reply=replies.Invite),
        users.delete_invite: Operation(reply=replies.Deleted),
        rate_limits.list_rate_limits: _listed(replies.RateLimit, queries.BEFORE, usual=100),
        rate_limits.modify_rate_limit: _made(requests.UpdateRateLimitRequest, replies.RateLimit),
        balances.show_own_credits: Operation(reply=replies.OrganizationCredits),
        balances.show_credits: Operation(reply=replies.OrganizationCredits),
        balances.create_top_up: _made(requests.CreateTopUpRequest, replies.OrganizationCredits),
        costs.list_costs: Operation(reply=replies.CostPage, query=queries.sums(costs.PAGES, tuple(costs.DIMENSIONS))),
        usage.usage_of_completions: Operation(
            reply=replies.UsagePage, query=queries.sums(usage.PAGES, (*usage.DIMENSIONS, *usage.SAME_FOR_ALL))
        ),
        usage.usage_of_embeddings: _USAGE,
        usage.usage_of_moderations: _USAGE,
        usage.usage_of_images: _USAGE,
        usage.usage_of_transcriptions: _USAGE,
        usage.usage_of_nothing: _USAGE,
        usage_export.export_usage: Operation(
            query=queries.exported_usage(tuple(usage_export.DIMENSIONS)), media=("application/jsonl", "text/csv")
        ),
        projects.list_projects: _listed(replies.Project, queries.INCLUDE_ARCHIVED),
        projects.create_project: _made(requests.CreateProjectRequest, replies.Project),
        projects.retrieve_project: Operation(reply=replies.Project),
        projects.modify_project: _made(requests.UpdateProjectRequest, replies.Project),
        projects.archive_project: Operation(reply=replies.Project),
        projects.list_project_users: _listed(replies.ProjectUser),
        projects.create_project_user: _made(requests.AddProjectUserRequest, replies.ProjectUser),
        projects.retrieve_project_user: Operation(reply=replies.ProjectUser),
        projects.modify_project_user: _made(requests.UpdateUserRequest, replies.ProjectUser),
        projects.delete_project_user: Operation(reply=replies.Deleted),
        service_accounts.list_service_accounts: _listed(replies.ServiceAccount),
        service_accounts.create_service_account: _made(requests.CreateServiceAccountRequest, replies.ServiceAccount),
        service_accounts.retrieve_service_account: Operation(reply=replies.ServiceAccount),
        service_accounts.modify_service_account: _made(requests.UpdateServiceAccountRequest, replies.ServiceAccount),
        service_accounts.delete_service_account: Operation(reply=replies.Deleted),
        service_accounts.create_service_account_key: _made(
            requests.CreateServiceAccountKeyRequest, replies.ServiceAccountKey
        ),
    }
)
