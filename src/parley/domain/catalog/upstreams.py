"""An upstream's entry in the catalog, checked: above all that its address is one, and holds no key."""

from pathlib import Path
from urllib.parse import urlsplit

from parley.core.upstream import Upstream
from parley.domain.catalog.entries import UpstreamEntry
from parley.domain.catalog.model import CatalogError


def read_upstream(entry: UpstreamEntry, where: str, *, can_chat: bool = True) -> Upstream:
    """Core's type of the entry; `can_chat` as its names say. Raises CatalogError, whose message never shows what could be a key."""
    if not entry.model:
        raise CatalogError(f"{where}: upstream.model is empty: say what the server calls the model")
    if entry.key_env is not None and entry.key_file is not None:
        raise CatalogError(f"{where}: upstream.key_env and upstream.key_file exclude each other")
    if entry.key_file is not None and not Path(entry.key_file).is_absolute():
        raise CatalogError(f"{where}: upstream.key_file must be a whole path, from /")
    return Upstream(
        kind=entry.kind,
        url=checked_url(entry.url, where),
        model=entry.model,
        key_env=entry.key_env,
        key_file=None if entry.key_file is None else Path(entry.key_file),
        command=tuple(entry.command),
        takes_pictures=entry.vision,
        can_chat=can_chat,
    )


def checked_url(url: str, where: str) -> str:
    """The address, rebuilt from its parts. Raises CatalogError for what is none, or holds more than an address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise CatalogError(f"{where}: upstream.url is no address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise CatalogError(f"{where}: upstream.url must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise CatalogError(
            f"{where}: upstream.url is an address and no more: a key belongs into a file (key_file) or a variable (key_env)"
        )
    if not host.isascii() or not url.isprintable() or " " in url:
        raise CatalogError(f"{where}: upstream.url has characters that no address has")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
