"""What several services hold in common: a Redis or Valkey, where one is set."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, ConnectionPool

_CONNECTIONS = 8
_PATIENCE_S = 5.0
"""How long Redis may take to accept and to answer, on a machine that is busy with photos."""
_QUEUE_S = 20.0
"""How long one waits for a connection that others use."""


def pool(redis_url: str) -> ConnectionPool | None:
    """Connections to the Redis of this URL, none of them made yet; None without a URL."""
    if not redis_url:
        return None
    return BlockingConnectionPool.from_url(
        redis_url,
        max_connections=_CONNECTIONS,
        timeout=_QUEUE_S,
        socket_timeout=_PATIENCE_S,
        socket_connect_timeout=_PATIENCE_S,
    )


async def close(shared: ConnectionPool | None) -> None:
    """Close the connections, where there are any."""
    if shared is not None:
        await shared.disconnect()
