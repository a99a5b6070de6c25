"""Idempotency keys: a request that is sent again makes no second job.

The record lies in the object store, written once, and outlives Redis. It names the job's id; of
two requests that upload under one id, the one whose manifest is written first makes the job.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pydantic import TypeAdapter

from geofix.errors import Conflict, InvalidRequest, Unavailable
from geofix.jobs.objects import Objects
from geofix.jobs.store import JobStore, new_job_id

LASTS_S = 86_400.0
"""A key stands for its job for a day."""
MAX_LENGTH = 255
_UPLOAD_S = 30.0
"""An upload that says nothing for so long has died."""
_ROOT = "idempotency/"


@dataclass(frozen=True, slots=True)
class _Record:
    job_id: str
    at: float


_RECORD = TypeAdapter(_Record)


async def job_id_of(store: JobStore, owner: str, key: str) -> tuple[str, str]:
    """The id of the job that ``key`` stands for, and the path of the record.

    Raises InvalidRequest for a key that is empty, too long or not printable ASCII.
    """
    if not 0 < len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidRequest(
            f"Idempotency-Key is 1 to {MAX_LENGTH} printable ASCII characters, say a UUID."
        )
    folder = f"{_ROOT}{_digest(owner)}/{_digest(key)}/"
    while True:
        known = sorted([path async for path, _ in store.records.objects.paths(folder)])
        if known:
            data = await store.records.objects.get(known[-1])
            if data is None:
                continue  # removed in between
            record = _RECORD.validate_json(data)
            if time.time() - record.at < LASTS_S:
                return record.job_id, known[-1]
        number = int(known[-1].rsplit("/", 1)[-1]) + 1 if known else 0
        record = _Record(new_job_id(), time.time())
        path = f"{folder}{number:04d}"
        if await store.records.objects.create(path, _RECORD.dump_json(record)):
            return record.job_id, path


@asynccontextmanager
async def uploading(store: JobStore, job_id: str) -> AsyncIterator[None]:
    """Hold a job's id while its inputs come in.

    Raises Conflict when another request does.
    """
    name, token = f"upload:{job_id}", secrets.token_hex(8)
    if not await store.agenda.remember(name, token, _UPLOAD_S):
        raise Conflict("A request with this Idempotency-Key is running. Wait for its answer.")
    beat = asyncio.create_task(_renew(store, name, token))
    try:
        yield
    finally:
        beat.cancel()
        await store.agenda.forget(name)


async def collect_keys(objects: Objects) -> int:
    """Remove records that stand for nothing any more; how many they were."""
    old = [path async for path, at in objects.paths(_ROOT) if time.time() - at > 2 * LASTS_S]
    await objects.remove(*old)
    return len(old)


async def _renew(store: JobStore, name: str, token: str) -> None:
    while True:
        await asyncio.sleep(_UPLOAD_S / 3)
        with suppress(Unavailable):  # Redis may be back at the next
            await store.agenda.renew(name, token, _UPLOAD_S)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
