"""The connection to Redis, which outlives its restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from geofix.errors import Unavailable

PREFIX = "geofix:"
"""Of all our keys: a broker may share the database."""


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Redis]:
    """A pool of connections. A command is sent again for some seconds before it fails."""
    redis = Redis.from_url(
        url,
        decode_responses=True,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), 6),
        retry_on_error=[ConnectionError, TimeoutError],
        socket_connect_timeout=5,
        socket_timeout=30,
        health_check_interval=15,
    )
    try:
        yield redis
    finally:
        await redis.aclose()


@contextmanager
def answering() -> Iterator[None]:
    """Turn Redis' failures into Unavailable."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable("The store of jobs' state does not answer. Try again.") from error
