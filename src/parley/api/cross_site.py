"""What a browser sends by itself: which requests are changes, and which of them another site's page had it send."""

from starlette.requests import Request

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# None: the user's own doing, an address that was typed or a bookmark.
_OWN_SITES = frozenset({"same-origin", "none"})


def is_change(http: Request) -> bool:
    """Whether the request's method may change something."""
    return http.method not in _SAFE


def is_from_another_site(http: Request) -> bool:
    """Whether a page of another origin had the browser send it; a client that is no browser says nothing of that.

    Where the browser says what it is (to https and to this machine), that counts: a proxy may have changed Host. Else it is
    the origin, which every browser sends with a change.
    """
    site = http.headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN_SITES
    origin = http.headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != http.headers.get("host", "").lower()
