"""The listening socket: what it is set to, every accepted connection inherits."""

import errno
import resource
import socket

# Kept free for engines, the database and log files when connections are plenty.
_RESERVED_DESCRIPTORS = 256
BACKLOG = 1024
# Left alone, the kernel lets a send buffer grow to megabytes: a client that never reads then held 3.4 MB before a send
# of ours stood still. With this and the server's own 64 kB it is 0.45 MB (measured).
_SEND_BUFFER_BYTES = 128 * 1024


class AddressUnusable(Exception):
    """The address cannot be listened on. The message is one line and names the setting that changes it."""


def open_listener(host: str, port: int, *, stall_seconds: float = 30.0) -> socket.socket:
    """A listening socket on `host` and `port`; port 0 takes a free one. The caller closes it. Raises AddressUnusable.

    The kernel resets a connection whose client has taken nothing for `stall_seconds` although data waits for it. That
    reaches also the clients that no send of ours waits for, because their whole reply fits the buffers.

    Without SO_REUSEPORT, with which a second server would start on the same port and take half of the connections.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
    except socket.gaierror as error:
        raise AddressUnusable(f"{host} is no address of this machine ({error.strerror}). Set PARLEY_HOST.") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        # Without it each token waits for the acknowledgement of the one before: up to 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Linux alone; elsewhere the stall of a send is all there is.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stall_seconds * 1000))
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise AddressUnusable(_explain(error, host, port)) from None
    return listener


def max_connections() -> int:
    """How many connections may be open at once: what the limit on descriptors leaves beside our own needs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 65_536
    return max(64, soft - _RESERVED_DESCRIPTORS)


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use by another program. Set PARLEY_PORT to a free one, such as {port + 1}."
    if error.errno == errno.EACCES:
        return f"Port {port} needs a privilege that this user lacks. Set PARLEY_PORT to one above 1023."
    return f"{host}:{port} cannot be listened on ({error.strerror}). Set PARLEY_HOST and PARLEY_PORT."
