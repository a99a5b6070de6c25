"""How all jobs stand together: what waits, what is worked on, what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from geofix.jobs.connection import answering
from geofix.jobs.live import LEASES, OPEN, TOTALS, job_key
from geofix.jobs.messages import sent_at
from geofix.jobs.tasks import BATCH_QUEUE, CONTROL_QUEUE, REINDEX_QUEUE, lists_of
from geofix.jobs.types import State

QUEUES = (BATCH_QUEUE, CONTROL_QUEUE, REINDEX_QUEUE)
STATES = tuple(state for state in State if not state.terminal)


@dataclass(frozen=True, slots=True)
class Census:
    """Jobs that have not ended, the broker's queues, and totals since Redis began."""

    states: Mapping[State, int]
    """Jobs in each of ``STATES``."""
    photos_open: int
    """Photos of these jobs without an outcome."""
    messages: Mapping[str, int]
    """Waiting for a worker, by queue."""
    oldest_message_s: Mapping[str, float]
    """How long ago the oldest of them was sent, by queue; 0 without one."""
    chunks_leased: int
    """In work: a worker holds them."""
    chunks_lost: int
    """Whose worker was lost, and no sweep has seen it."""
    oldest_chunk_s: float
    """How long ago the chunk was sent that has been with the workers longest; 0 without one."""
    totals: Mapping[str, float]
    """Photos ``completed`` and ``failed``, chunks ``redelivered``; when a chunk was last settled
    and a sweep done (``settled_at``, ``swept_at``, Unix seconds). What never happened is 0."""


async def census(redis: Redis) -> Census:
    """Count. Raises Unavailable where Redis does not answer."""
    lists = {name: queue for queue in QUEUES for name in lists_of(queue)}
    with answering():
        seconds, micros = await redis.time()
        now = seconds + micros / 1e6
        pipe = redis.pipeline(transaction=False)
        pipe.smembers(OPEN)
        pipe.zcount(LEASES, f"({now}", "+inf")
        pipe.zcount(LEASES, "-inf", now)
        pipe.hgetall(TOTALS)
        for name in lists:
            pipe.llen(name)
            pipe.lindex(name, -1)  # workers take from this end
        open_jobs, leased, lost, totals, *waiting = await pipe.execute()
        pipe = redis.pipeline(transaction=False)
        for job_id in open_jobs:
            pipe.hmget(job_key(job_id), "state", "total", "completed", "failed")
            pipe.zrangebyscore(f"{job_key(job_id)}:todo", "(0", "+inf", 0, 1, withscores=True)
        told = await pipe.execute()
    fields = [found for found in told[::2] if found[0] is not None]  # others were just deleted
    chunks_sent_at = [cast("float", score) for found in told[1::2] for _, score in found]
    states = Counter(State(state) for state, *_ in fields)
    messages, oldest_s = dict.fromkeys(QUEUES, 0), dict.fromkeys(QUEUES, 0.0)
    for queue, length, last in zip(lists.values(), waiting[::2], waiting[1::2], strict=True):
        messages[queue] += length
        if last is not None and (since := sent_at(last)) is not None:
            oldest_s[queue] = max(oldest_s[queue], now - since)
    return Census(
        states={state: states[state] for state in STATES},
        photos_open=sum(int(total) - int(done) - int(bad) for _, total, done, bad in fields),
        messages=messages,
        oldest_message_s=oldest_s,
        chunks_leased=leased,
        chunks_lost=lost,
        oldest_chunk_s=max((now - at for at in chunks_sent_at), default=0.0),
        totals={name: float(value) for name, value in totals.items()},
    )
