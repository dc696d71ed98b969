"""Wire types of what administration answers, named and shaped as OpenAI's where it has them."""

from typing import Literal

from msgspec import UNSET, UnsetType

from parley.api.openai.schemas.shared import ReplyStruct


class Project(ReplyStruct, kw_only=True):
    id: str
    object: Literal["organization.project"] = "organization.project"
    name: str
    created_at: int
    archived_at: int | None
    status: Literal["active", "archived"]


class User(ReplyStruct, kw_only=True):
    """A member of the organization."""

    object: Literal["organization.user"] = "organization.user"
    id: str
    name: str
    email: str
    role: str
    added_at: int


class ProjectUser(ReplyStruct, kw_only=True):
    """A member of a project."""

    object: Literal["organization.project.user"] = "organization.project.user"
    id: str
    name: str
    email: str
    role: str
    added_at: int


class InviteProject(ReplyStruct, kw_only=True):
    id: str
    role: str


class Invite(ReplyStruct, kw_only=True):
    """An invite; its token is in the mail alone."""

    object: Literal["organization.invite"] = "organization.invite"
    id: str
    email: str
    role: str
    status: Literal["pending", "accepted", "expired"]
    created_at: int
    invited_at: int
    expires_at: int
    accepted_at: int | None
    projects: list[InviteProject]


class Deleted(ReplyStruct, kw_only=True):
    """What a DELETE answers."""

    object: str
    id: str
    deleted: bool = True


class ServiceAccountKey(ReplyStruct, kw_only=True):
    """A new key of a service account; `value` is shown this once."""

    object: Literal["organization.project.service_account.api_key"] = "organization.project.service_account.api_key"
    value: str
    name: str
    created_at: int
    id: str
    expires_at: int | None


class ServiceAccount(ReplyStruct, kw_only=True):
    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    id: str
    name: str
    role: str = "member"
    created_at: int
    # Where it was made just now; null: without a key.
    api_key: ServiceAccountKey | UnsetType | None = UNSET


class KeyUser(ProjectUser, kw_only=True):
    """Whose a key is, with the time under the name that it has now as well."""

    created_at: int


class KeyOwner(ReplyStruct, kw_only=True):
    """Whose a key is; `type` null: the organization's own."""

    type: Literal["user", "service_account"] | None
    user: KeyUser | None = None
    service_account: ServiceAccount | None = None


class ProjectKey(ReplyStruct, kw_only=True):
    """A project's key: OpenAI's fields, then ours. `value` is there where the key was made just now, and never again."""

    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    id: str
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    owner: KeyOwner
    # Inactive: its owner does not reach the project any more, so that the key does not count.
    owner_project_access: Literal["active", "inactive"]
    project_id: str
    scopes: list[str]
    models: list[str] | None
    expires_at: int | None
    limits: dict[str, int]
    monthly_budget_usd: float | None
    value: str | UnsetType = UNSET


class AdminKeyOwner(ReplyStruct, kw_only=True):
    """Whose an admin key is, in the shape in which OpenAI shows it."""

    type: Literal["user", "organization"]
    object: Literal["organization.user", "organization"]
    id: str
    name: str
    created_at: int
    role: str


class AdminKey(ReplyStruct, kw_only=True):
    """A key that administers. `value` is there where the key was made just now, and never again."""

    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    id: str
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    owner: AdminKeyOwner
    scopes: list[str]
    expires_at: int | None
    value: str | UnsetType = UNSET


class Organization(ReplyStruct, kw_only=True):
    """An organization as its owners and the operator see it."""

    object: Literal["organization"] = "organization"
    id: str
    name: str
    created_at: int
    status: str
    tier: str


class CreditGrant(ReplyStruct, kw_only=True):
    """What is left of one grant."""

    left_usd: float
    expires_at: int


class OrganizationCredits(ReplyStruct, kw_only=True):
    """What an organization may spend. One that is not metered is refused nothing; what it costs is recorded."""

    object: Literal["organization.credits"] = "organization.credits"
    organization_id: str
    is_metered: bool
    is_frozen: bool
    paid_usd: float
    grants: list[CreditGrant]
    # By requests that run.
    held_usd: float
    available_usd: float
    charged_this_month_usd: float


class SessionUser(ReplyStruct, kw_only=True):
    """Who is logged in. `csrf_token` goes into the header x-csrf-token of every request that changes something."""

    object: Literal["session"] = "session"
    id: str
    user_id: str
    email: str
    name: str
    organization: Organization
    scopes: list[str]
    expires_at: int
    csrf_token: str


class Accepted(ReplyStruct, kw_only=True):
    """What a visitor is told, whatever is known of the address."""

    status: str


class RateLimit(ReplyStruct, kw_only=True):
    """A project's limits on one model; null: none. Clients read numbers in the first two: 1000000000 there is none."""

    object: Literal["project.rate_limit"] = "project.rate_limit"
    id: str
    model: str
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int
    max_images_per_1_minute: int | None
    max_audio_minutes_per_1_minute: int | None
    max_requests_per_1_day: int | None
    max_tokens_per_1_day: int | None
    max_concurrent_requests: int | None


class UsageResult(ReplyStruct, kw_only=True):
    """What one group of requests used; what was not grouped by is null."""

    object: str
    input_tokens: int | UnsetType = UNSET
    output_tokens: int | UnsetType = UNSET
    input_cached_tokens: int | UnsetType = UNSET
    input_audio_tokens: int | UnsetType = UNSET
    output_audio_tokens: int | UnsetType = UNSET
    images: int | UnsetType = UNSET
    seconds: int | UnsetType = UNSET
    num_model_requests: int
    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    model: str | None
    batch: bool | UnsetType | None = UNSET
    service_tier: str | UnsetType | None = UNSET


class UsageBucket(ReplyStruct, kw_only=True):
    """A stretch of time, seconds since the epoch, its end excluded."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[UsageResult]


class UsagePage(ReplyStruct, kw_only=True):
    """Some buckets in their order; `next_page` goes into `page` for those that follow."""

    object: Literal["page"] = "page"
    data: list[UsageBucket]
    has_more: bool
    next_page: str | None


class Amount(ReplyStruct, kw_only=True):
    """Money, as OpenAI shows it; inside it is an integer of nano-dollars."""

    value: float
    currency: Literal["usd"] = "usd"


class CostResult(ReplyStruct, kw_only=True):
    """What one group of requests was charged; what was not grouped by is null."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: Amount
    line_item: str | None
    project_id: str | None
    user_id: str | None
    api_key_id: str | None


class CostBucket(ReplyStruct, kw_only=True):
    """A day, seconds since the epoch, its end excluded."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[CostResult]


class CostPage(ReplyStruct, kw_only=True):
    """Some days in their order; `next_page` goes into `page` for those that follow."""

    object: Literal["page"] = "page"
    data: list[CostBucket]
    has_more: bool
    next_page: str | None
