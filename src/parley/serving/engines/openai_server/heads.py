"""Replies of upstreams as aiohttp reads them, but for a server that says "go on" without end before it begins to answer."""

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

# No honest server sends more interim heads (100, 102, 103) before its answer's.
_MOST_INTERIM_HEADS = 64


class Reply(aiohttp.ClientResponse):
    """aiohttp reads interim heads for ever, and gives nobody a turn while there are any: here a call of them fails."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        if protocol is None:
            raise aiohttp.ClientConnectionError("closed before its head was read")
        read = protocol.read
        num_heads = 0

        async def read_few() -> tuple[RawResponseMessage, StreamReader]:
            nonlocal num_heads
            if num_heads > _MOST_INTERIM_HEADS:
                raise aiohttp.ClientPayloadError("interim heads without end")
            num_heads += 1
            return await read()

        # aiohttp has no hook of its own here.
        protocol.read = read_few  # type: ignore[method-assign]
        try:
            return await super().start(connection)
        finally:
            del protocol.read
