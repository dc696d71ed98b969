"""Which network addresses are the public internet's: nothing of this machine, its neighbours, or a cloud's inside."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

# Addresses of IPv6 whose last four bytes are one of IPv4, to which a gateway would carry the connection.
_CARRIES_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
# What Python, or an older Python, calls global and what does not lead to the internet.
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        # Assigned for protocols; one cloud's metadata is in it.
        "192.0.0.0/24",
        # Relays that were given up.
        "192.88.99.0/24",
        # Inside of another cloud's machines, for each of them its own.
        "168.63.129.16/32",
        # Site-local addresses were given up long ago, and still work where somebody set them up.
        "fec0::/10",
        "64:ff9b:1::/48",
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
    )
)


def is_public(address: str) -> bool:
    """Whether a connection to this address leaves for the public internet, however the address is wrapped."""
    try:
        # A zone (fe80::1%eth0) names an interface of this machine.
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        wrapped = _wrapped(parsed)
        if wrapped is not None:
            return _is_public(wrapped)
        if parsed.scope_id is not None:
            return False
    return _is_public(parsed)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """The address of IPv4 that the connection would end at; None where there is none."""
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _CARRIES_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
