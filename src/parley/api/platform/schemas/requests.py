"""Wire types of what administration is asked for. What the server sets (ids, times, owners) is in none of them."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from parley.api.openai.schemas.shared import RequestStruct
from parley.core.durations import MAX_LIFETIME_DAYS, MAX_TIME
from parley.domain.accounts.passwords import MAX_CHARACTERS, MIN_CHARACTERS

# What is kept, and looked for among what is kept: PostgreSQL has no NUL in a text.
Text = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
Name = Annotated[Text, Meta(min_length=1, max_length=256)]
Email = Annotated[Text, Meta(min_length=3, max_length=254, extra_json_schema={"format": "email"})]
Password = Annotated[Text, Meta(max_length=1024)]
NewPassword = Annotated[
    Text, Meta(max_length=1024, extra_json_schema={"minLength": MIN_CHARACTERS, "maxLength": MAX_CHARACTERS})
]
Token = Annotated[Text, Meta(max_length=256)]
# OpenAI's words beside ours: a reader is a viewer, a project's member a developer.
RoleName = Literal["owner", "admin", "developer", "viewer", "reader", "member"]
# The words of `Scope`, and OpenAI's for a key that only reads.
ScopeName = Literal[
    "all",
    "read",
    "model.request",
    "chat",
    "completions",
    "embeddings",
    "moderations",
    "audio",
    "images",
    "responses",
    "files",
    "fine_tuning",
    "batches",
    "keys",
    "admin.read",
    "admin",
    "owner",
    "metrics",
    "operator",
    "api.all.read",
]
Scopes = Annotated[list[ScopeName], Meta(min_length=1, max_length=32)]
Cap = Annotated[int, Meta(ge=0, le=2**53)]
Time = Annotated[int, Meta(ge=0, le=MAX_TIME, description="Seconds since the epoch.")]
Lifetime = Annotated[
    int, Meta(ge=1, le=MAX_LIFETIME_DAYS * 86_400, description="Seconds from now, in the place of `expires_at`.")
]
Dollars = Annotated[float, Meta(ge=0, le=10_000_000, description="US dollars in a calendar month (UTC).")]


class CreateTopUpRequest(RequestStruct, kw_only=True):
    amount_usd: Annotated[float, Meta(gt=0, le=10_000_000, description="US dollars.")]
    payment: (
        Annotated[Text, Meta(min_length=1, max_length=100, description="A name for it; the same one counts once.")]
        | None
    ) = None
    note: Annotated[Text, Meta(max_length=1000)] | None = None


class CreateProjectRequest(RequestStruct, kw_only=True):
    name: Name


class UpdateProjectRequest(RequestStruct, kw_only=True):
    name: Name


class UpdateUserRequest(RequestStruct, kw_only=True):
    role: RoleName


class AddProjectUserRequest(RequestStruct, kw_only=True):
    """Who, by id or by e-mail address: one of them."""

    role: RoleName
    user_id: Annotated[Text, Meta(max_length=64)] | None = None
    email: Email | None = None


class InviteProjectRequest(RequestStruct, kw_only=True):
    id: Annotated[Text, Meta(max_length=64)]
    role: RoleName


class CreateInviteRequest(RequestStruct, kw_only=True):
    email: Email
    role: RoleName
    projects: Annotated[list[InviteProjectRequest], Meta(max_length=100)] | None = None


class CreateServiceAccountRequest(RequestStruct, kw_only=True):
    """The times are those of its first key, which `create_service_account_only` leaves out."""

    name: Name
    create_service_account_only: bool | None = None
    expires_at: Time | None = None
    expires_in_seconds: Lifetime | None = None


class UpdateServiceAccountRequest(RequestStruct, kw_only=True):
    """What is absent stays as it is. Every service account is a member of its project, and of no other role."""

    name: Name | None = None
    role: Literal["member"] | None = None


class CreateServiceAccountKeyRequest(RequestStruct, kw_only=True):
    """Without a name it is called as the account; without scopes it may all that a key of a project may."""

    name: Name | None = None
    scopes: Scopes | None = None
    expires_at: Time | None = None
    expires_in_seconds: Lifetime | None = None


class KeyLimits(RequestStruct, kw_only=True):
    """A key's own limits; null or absent: none beside those of its project and organization."""

    requests_per_minute: Cap | None = None
    tokens_per_minute: Cap | None = None
    images_per_minute: Cap | None = None
    audio_minutes_per_minute: Cap | None = None
    requests_per_day: Cap | None = None
    tokens_per_day: Cap | None = None
    concurrent_requests: Cap | None = None


class CreateKeyRequest(RequestStruct, kw_only=True):
    """`scopes`: what the key may do; it can have none that its maker lacks. `models`: those that it may use."""

    name: Name
    scopes: Scopes | None = None
    models: Annotated[list[Annotated[Text, Meta(max_length=256)]], Meta(max_length=256)] | None = None
    expires_at: Time | None = None
    expires_in_seconds: Lifetime | None = None
    limits: KeyLimits | None = None
    monthly_budget_usd: Dollars | None = None


class UpdateKeyRequest(RequestStruct, kw_only=True):
    """What is absent stays as it is; null takes a bound away. No scopes (`[]`) are those that a key gets when none are named."""

    name: Name | UnsetType = UNSET
    scopes: Annotated[list[ScopeName], Meta(max_length=32)] | UnsetType = UNSET
    models: Annotated[list[Annotated[Text, Meta(max_length=256)]], Meta(max_length=256)] | UnsetType | None = UNSET
    expires_at: Time | UnsetType | None = UNSET
    expires_in_seconds: Lifetime | UnsetType | None = UNSET
    limits: KeyLimits | UnsetType | None = UNSET
    monthly_budget_usd: Dollars | UnsetType | None = UNSET


class RotateKeyRequest(RequestStruct, kw_only=True):
    """`overlap_seconds`: how long the old key counts beside the new one."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 0


class CreateAdminKeyRequest(RequestStruct, kw_only=True):
    name: Name
    scopes: Scopes | None = None
    expires_at: Time | None = None
    expires_in_seconds: Lifetime | None = None


class CreateOrganizationRequest(RequestStruct, kw_only=True):
    name: Name


class UpdateOrganizationRequest(RequestStruct, kw_only=True):
    """What is absent stays as it is. `active` approves an organization that is pending."""

    name: Name | None = None
    status: Literal["active", "pending", "suspended"] | None = None
    tier: Annotated[Text, Meta(min_length=1, max_length=32)] | None = None


class SignUpRequest(RequestStruct, kw_only=True):
    email: Email
    password: NewPassword
    name: Annotated[Text, Meta(max_length=256)] | None = None
    organization_name: Annotated[Text, Meta(max_length=256)] | None = None


class VerifyRequest(RequestStruct, kw_only=True):
    """The code that was mailed, and the password of the sign-up: whoever signed up completes it, and nobody else."""

    email: Email
    password: Password
    code: Annotated[Text, Meta(max_length=32)]


class LogInRequest(RequestStruct, kw_only=True):
    email: Email
    password: Password
    organization_id: Annotated[Text, Meta(max_length=64)] | None = None


class AskResetRequest(RequestStruct, kw_only=True):
    email: Email


class ResetRequest(RequestStruct, kw_only=True):
    token: Token
    password: NewPassword


class AcceptInviteRequest(RequestStruct, kw_only=True):
    token: Token
    password: NewPassword
    name: Annotated[Text, Meta(max_length=256)] | None = None


class UpdateRateLimitRequest(RequestStruct, kw_only=True):
    """OpenAI's names; audio by the minute, tokens by the day and requests at once are ours.

    What is absent stays as it is; null takes the project's own limit away.
    """

    max_requests_per_1_minute: Cap | UnsetType | None = UNSET
    max_tokens_per_1_minute: Cap | UnsetType | None = UNSET
    max_images_per_1_minute: Cap | UnsetType | None = UNSET
    max_audio_minutes_per_1_minute: Cap | UnsetType | None = UNSET
    max_requests_per_1_day: Cap | UnsetType | None = UNSET
    max_tokens_per_1_day: Cap | UnsetType | None = UNSET
    max_concurrent_requests: Cap | UnsetType | None = UNSET
