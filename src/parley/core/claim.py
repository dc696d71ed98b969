"""A claim: the key that a client chose for a request, so that sending it again is not a second request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`fingerprint` is a digest of the endpoint, the body and the models that its sender may use.

    Under one key there is one request.
    """

    project_id: str
    key: str
    fingerprint: bytes
