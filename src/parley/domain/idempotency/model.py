"""A reply that is kept under the key that its client chose, so that the same request can be sent again and is charged once."""

from dataclasses import dataclass

# How long a key is remembered.
KEPT_SECONDS = 24 * 3600.0
# A larger reply is charged once all the same, but its twin is told so instead of being given it.
MAX_KEPT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReply:
    """The outcome of the request that came first under `key`. `body` is None where the reply is not kept.

    `fingerprint` is a digest of the endpoint and the body; `finished_at` is in seconds since the epoch.
    """

    project_id: str
    key: str
    fingerprint: bytes
    finished_at: float
    request_id: str
    status: int
    body: bytes | None
