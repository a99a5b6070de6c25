"""What is due, and what holds for a while: the small keys in Redis beside the jobs' own."""

from __future__ import annotations

from enum import StrEnum
from typing import cast

from redis.asyncio import Redis

from geofix.jobs.connection import PREFIX, answering


class Due(StrEnum):
    """What comes after a job's end."""

    RETENTION = "retention"
    """It is deleted."""
    WEBHOOK = "webhooks"
    """Somebody is told."""


def agenda_key(what: Due) -> str:
    """The sorted set of the jobs for which this is due, by time."""
    return f"{PREFIX}{what}"


class Agenda:
    """Times and short-lived names. Raises Unavailable when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def schedule(self, what: Due, job_id: str, at: float) -> None:
        """Set when something is due for a job."""
        with answering():
            await self._redis.zadd(agenda_key(what), {job_id: at})

    async def unschedule(self, what: Due, job_id: str) -> None:
        """Nothing of this kind is due any more."""
        with answering():
            await self._redis.zrem(agenda_key(what), job_id)

    async def due(self, what: Due, now: float) -> list[str]:
        """Jobs for which something is due."""
        with answering():
            return cast("list[str]", await self._redis.zrangebyscore(agenda_key(what), 0, now))

    async def remember(self, name: str, value: str, seconds: float) -> bool:
        """Set a name that ends by itself, unless it is set; whether it was set now."""
        with answering():
            key = f"{PREFIX}brief:{name}"
            return bool(await self._redis.set(key, value, nx=True, px=int(seconds * 1000)))

    async def renew(self, name: str, value: str, seconds: float) -> None:
        """Set such a name again, whoever had it."""
        with answering():
            await self._redis.set(f"{PREFIX}brief:{name}", value, px=int(seconds * 1000))

    async def remembered(self, name: str) -> bool:
        """Whether such a name is set."""
        with answering():
            return bool(await self._redis.exists(f"{PREFIX}brief:{name}"))

    async def forget(self, name: str) -> None:
        """End such a name."""
        with answering():
            await self._redis.delete(f"{PREFIX}brief:{name}")

    async def queued(self, *queues: str) -> int:
        """Messages that wait in these of the broker's queues, where it uses this Redis too."""
        with answering():
            pipe = self._redis.pipeline(transaction=False)
            for queue in queues:
                pipe.llen(queue)
            return sum(int(n) for n in await pipe.execute())
