"""What changes by the second, in Redis; every change of several keys is one script."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import cast

from redis.asyncio import Redis

from geofix.errors import QuotaExceeded
from geofix.jobs.agenda import Due, agenda_key
from geofix.jobs.connection import PREFIX, answering
from geofix.jobs.types import Counts, Event, Manifest, State

OPEN = f"{PREFIX}open"
LEASES = f"{PREFIX}leases"
TOTALS = f"{PREFIX}totals"
"""What was counted since Redis began, over all jobs; see ``census``."""
_EPOCH = f"{PREFIX}epoch"
_QUOTAS = {
    "running": "This key has too many unfinished jobs. Wait for one to end, or cancel one.",
    "items": "This key has too many photos in unfinished jobs. Wait, or cancel a job.",
    "bytes": "This key keeps too many bytes. Delete jobs that are not needed any more.",
}


@dataclass(frozen=True, slots=True)
class Quota:
    """What one key may have at a time."""

    running: int
    """Unfinished jobs."""
    items: int
    """Photos in them."""
    bytes: int
    """Inputs of all its jobs."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job's state as it is put in place."""

    id: str
    owner: str
    fields: Mapping[str, str]
    todo: Sequence[int]
    items: int
    bytes: int
    terminal: bool = False
    tries: Mapping[int, int] = field(default_factory=dict)


class Live:
    """The live state of jobs. Raises Unavailable when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def install(
        self, snapshot: Snapshot, *, force: bool = False, quota: Quota | None = None
    ) -> bool:
        """Put a job's state in place; False when it is there. Raises QuotaExceeded."""
        word = await self._run(
            "install",
            snapshot.id,
            json.dumps(
                {
                    "id": snapshot.id,
                    "force": force,
                    "terminal": snapshot.terminal,
                    "fields": snapshot.fields,
                    "todo": [_chunk(chunk) for chunk in snapshot.todo],
                    "tries": {_chunk(chunk): n for chunk, n in snapshot.tries.items()},
                    "items": snapshot.items,
                    "bytes": snapshot.bytes,
                    **(
                        {
                            "quota": {
                                "running": quota.running,
                                "items": quota.items,
                                "bytes": quota.bytes,
                            }
                        }
                        if quota
                        else {}
                    ),
                }
            ),
            owner=snapshot.owner,
        )
        if word in _QUOTAS:
            raise QuotaExceeded(_QUOTAS[str(word)])
        return word == "ok"

    async def check_running(self, owner: str, quota: Quota) -> None:
        """Raise QuotaExceeded for an owner with as many unfinished jobs as they may have."""
        with answering():
            running = await self._redis.hlen(f"{_owner(owner)}:running")
        if running >= quota.running:
            raise QuotaExceeded(_QUOTAS["running"])

    async def fields(self, job_id: str) -> tuple[dict[str, str], int]:
        """A job's fields (none: it is not here) and how many chunks are not done."""
        with answering():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hgetall(job_key(job_id))
            pipe.zcard(f"{job_key(job_id)}:todo")
            found, left = await pipe.execute()
        return cast("dict[str, str]", found), int(left)

    async def runs(self, job_id: str) -> bool | None:
        """Whether the job is being worked on; None when it is not here."""
        with answering():
            state = await self._redis.hget(job_key(job_id), "state")
        return None if state is None else State(str(state)).running

    async def claim(
        self, job_id: str, chunk: int, token: str, lease_s: float
    ) -> tuple[str, int, int]:
        """``ok``, ``no``, ``busy`` or ``missing``; the attempt; the round."""
        word, attempt, round_ = cast(
            "tuple[str, int, int]",
            await self._run("claim", job_id, job_id, _chunk(chunk), token, str(lease_s)),
        )
        return word, attempt, round_

    async def heartbeat(self, job_id: str, chunk: int, token: str, lease_s: float) -> bool:
        """Keep a lease; False when it is another's, or not wanted."""
        return bool(
            await self._run("heartbeat", job_id, job_id, _chunk(chunk), token, str(lease_s))
        )

    async def settle(
        self, job_id: str, chunk: int, round_: int, completed: int, failed: int, duplicates: int
    ) -> int | None:
        """Count a chunk as done, once. The chunks that are left; None: no such job or round."""
        numbers = (str(n) for n in (round_, completed, failed, duplicates))
        left = int(cast("int", await self._run("settle", job_id, job_id, _chunk(chunk), *numbers)))
        return None if left < 0 else left

    async def release(self, job_id: str, chunk: int, token: str) -> int:
        """Give a lease back uncounted; how many of the job's are left."""
        return int(cast("int", await self._run("release", job_id, job_id, _chunk(chunk), token)))

    async def holders(self, job_id: str) -> int:
        """How many chunks of the job are leased."""
        with answering():
            return int(await self._redis.hlen(f"{job_key(job_id)}:held"))

    async def todo(self, job_id: str) -> list[int]:
        """The chunks that are not done."""
        with answering():
            found = await self._redis.zrange(f"{job_key(job_id)}:todo", 0, -1)
        return [int(chunk) for chunk in cast("list[str]", found)]

    async def send(self, job_id: str, window: int) -> list[int]:
        """Chunks to hand to the workers now; they count as handed over."""
        found = cast("list[str]", await self._run("send", job_id, str(window)))
        return [int(chunk) for chunk in found]

    async def stalled(
        self, job_id: str, patience_s: float, *, doubling: bool
    ) -> tuple[int, list[int]]:
        """How many leases were lost, and the chunks to send again."""
        lost, *chunks = cast(
            "list[str | int]",
            await self._run("stalled", job_id, job_id, str(patience_s), "1" if doubling else "0"),
        )
        return int(lost), [int(chunk) for chunk in chunks]

    async def turn(self, job_id: str, state: State, *origins: State) -> bool:
        """Reach ``state`` from one of ``origins``; whether it did."""
        return bool(await self._run("turn", job_id, state.value, json.dumps(origins)))

    async def finish(
        self, manifest: Manifest, state: State, at: float, counts: Counts, problem: str
    ) -> bool:
        """End the job; False when it had ended so before."""
        facts = (manifest.id, state.value, repr(at + manifest.kept_for_s), problem)
        numbers = (str(counts.completed), str(counts.failed), repr(at))
        return bool(await self._run("finish", manifest.id, *facts, *numbers, owner=manifest.owner))

    async def open_jobs(self) -> list[str]:
        """Jobs that have not ended."""
        with answering():
            return sorted(cast("set[str]", await self._redis.smembers(OPEN)))

    async def owned(self, owner: str, after: str, limit: int) -> list[str]:
        """Ids of an owner's jobs, newest first, those older than ``after``."""
        with answering():
            return cast(
                "list[str]",
                await self._redis.zrevrangebylex(
                    f"{_owner(owner)}:jobs", f"({after}" if after else "+", "-", 0, limit
                ),
            )

    async def drop(self, job_id: str, owner: str) -> None:
        """Forget a job."""
        with answering():
            held = cast("list[str]", await self._redis.hkeys(f"{job_key(job_id)}:held"))
            pipe = self._redis.pipeline(transaction=True)
            pipe.zrem(LEASES, "", *(f"{job_id}:{chunk}" for chunk in held))
            pipe.delete(*_keys(job_id, owner)[:6])
            pipe.srem(OPEN, job_id)
            pipe.zrem(f"{_owner(owner)}:jobs", job_id)
            pipe.hdel(f"{_owner(owner)}:running", job_id)
            pipe.hdel(f"{_owner(owner)}:bytes", job_id)
            for what in Due:
                pipe.zrem(agenda_key(what), job_id)
            await pipe.execute()

    async def events(self, job_id: str, after: str, wait_ms: int) -> list[Event]:
        """Events after the id ``after``; waits for the first where there is none."""
        key = f"{job_key(job_id)}:events"
        with answering():
            found = await self._redis.xread({key: after or "0-0"}, count=500, block=wait_ms)
        streams = cast("list[tuple[str, list[tuple[str, dict[str, str]]]]]", found)
        return [
            Event(event_id, fields["kind"], fields["data"])
            for _, entries in streams
            for event_id, fields in entries
        ]

    async def swept(self, at: float) -> None:
        """Say that a sweep has come to its end."""
        with answering():
            await self._redis.hset(TOTALS, "swept_at", repr(at))

    async def complete_index(self) -> bool:
        """Whether Redis knows all jobs; not so after its data was deleted."""
        with answering():
            return bool(await self._redis.exists(_EPOCH))

    async def mark_index(self) -> None:
        """Say that Redis knows all jobs."""
        with answering():
            await self._redis.set(_EPOCH, "1")

    async def _run(self, script: str, job_id: str, *args: str, owner: str | None = None) -> object:
        registered = self._redis.register_script(_script(script))
        with answering():
            return await registered(keys=_keys(job_id, owner), args=args)


def job_key(job_id: str) -> str:
    """The hash of a job's fields; further parts of it stand behind a colon."""
    return f"{PREFIX}job:{job_id}"


def _owner(owner: str) -> str:
    """Keys are secrets, or may be: their names in Redis are not."""
    return f"{PREFIX}owner:{hashlib.sha256(owner.encode()).hexdigest()[:32]}"


def _keys(job_id: str, owner: str | None) -> list[str]:
    job = job_key(job_id)
    parts = [f"{job}:{part}" for part in ("events", "todo", "held", "tries", "sends")]
    keys = [job, *parts, LEASES, OPEN]
    if owner is not None:
        keys += [f"{_owner(owner)}:{part}" for part in ("jobs", "running", "bytes")]
        keys.append(agenda_key(Due.RETENTION))
    return keys


def _chunk(chunk: int) -> str:
    """Padded: chunks of one score come in this order."""
    return f"{chunk:06d}"


@cache
def _script(name: str) -> str:
    scripts = files("geofix.jobs") / "scripts"
    return "\n".join((scripts / f"{part}.lua").read_text("utf-8") for part in ("prelude", name))
