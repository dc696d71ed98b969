"""The address of the client, behind proxies too: X-Forwarded-For counts only from proxies that the operator named."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.requests import Request

Network = IPv4Network | IPv6Network


def client_address(http: Request, trusted_proxies: Sequence[Network]) -> str:
    """The nearest address that is not a trusted proxy; of IPv6 the /64, which is what one household has."""
    nearest = parse_address(http.client.host) if http.client is not None else None
    if nearest is None:
        return "unknown"
    forwarded = ",".join(http.headers.getlist("x-forwarded-for")).split(",")
    # Each proxy appends whom it heard from, so the list is believed from its end, as far as trust goes.
    while forwarded and _is_trusted(nearest, trusted_proxies):
        further = parse_address(forwarded.pop().strip())
        if further is None:
            break
        nearest = further
    return household_of(nearest)


def household_of(address: IPv4Address | IPv6Address) -> str:
    """What is counted as one caller: an address, and of IPv6 its /64."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _is_trusted(address: IPv4Address | IPv6Address, proxies: Sequence[Network]) -> bool:
    return any(address in network for network in proxies)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address; None for what is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket that listens on both families shows IPv4 clients as ::ffff:192.0.2.1.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
