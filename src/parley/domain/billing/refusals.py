"""The refusals that money makes, in OpenAI's words. No retry helps any of them."""

from enum import StrEnum

from parley.core.errors import RateLimited


class Bound(StrEnum):
    """What does not cover a request: the balance, or the month's budget of one of three."""

    CREDIT = "credit"
    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"


def quota_exceeded(bound: Bound) -> RateLimited:
    """The balance, or a budget, less what running requests hold, does not cover the request."""
    message = "You exceeded your current quota, please check your plan and billing details."
    code = "insufficient_quota"
    if bound is not Bound.CREDIT:
        message += f" The {bound}'s budget for this month does not cover the request."
        code = f"{bound}_spend_limit_exceeded"
    return RateLimited(message, kind="insufficient_quota", code=code, retry_after_seconds=None)


def account_frozen() -> RateLimited:
    """The account's figures do not agree with each other; it waits for the operator."""
    return RateLimited(
        "Your account is not active, please check your billing details on our website.",
        kind="billing_not_active",
        code="billing_not_active",
        retry_after_seconds=None,
    )
