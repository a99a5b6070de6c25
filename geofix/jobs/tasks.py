"""Tasks by name: how the service starts work without importing the workers."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Protocol

from celery import Celery
from kombu.exceptions import OperationalError

from geofix.errors import Unavailable
from geofix.jobs import messages
from geofix.jobs.types import Priority, Task

LOCATE_CHUNK = "geofix.locate_chunk"
"""Arguments: job_id (str), chunk (int)."""
WEBHOOK = "geofix.webhook"
"""Arguments: job_id (str)."""
SWEEP = "geofix.sweep"
"""No arguments; runs every few seconds."""
REINDEX = "geofix.reindex"
"""Arguments: gallery (str), the version in use (int), model and quantization (str; empty = as they
are), pace and most_missing (float)."""
COLLECT = "geofix.collect"
"""No arguments; runs every hour: what may be deleted is deleted."""

BATCH_QUEUE = "batch"
CONTROL_QUEUE = "control"
"""Sweeps and webhooks, which must not wait behind photos."""

REINDEX_QUEUE = "reindex"
"""Re-indexing takes hours, which nothing else must wait for."""

CELERY_PRIORITY = {Priority.HIGH: 0, Priority.NORMAL: 3, Priority.LOW: 6}
"""Of the Redis transport, where 0 comes first; its default steps are 0, 3, 6 and 9."""


def lists_of(queue: str) -> tuple[str, ...]:
    """The lists in which the Redis transport keeps a queue's messages, one a priority."""
    return tuple(f"{queue}\x06\x16{step}" if step else queue for step in (0, 3, 6, 9))


BATCH_QUEUES = lists_of(BATCH_QUEUE)
_RETRY = {"max_retries": 3, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1.0}


class TaskSender(Protocol):
    """Hands tasks to the workers."""

    async def chunk(self, task: Task) -> None:
        """Ask for one chunk to be worked on. Raises Unavailable when the broker is not reached."""

    async def webhook(self, job_id: str) -> None:
        """Ask for the call that tells of a job's end. Raises Unavailable."""

    async def sweep(self, after_s: float) -> None:
        """Ask for a sweep so many seconds from now. Raises Unavailable."""

    async def reindex(
        self,
        gallery: str,
        base: int,
        model: str,
        quantization: str,
        pace: float,
        most_missing: float,
    ) -> None:
        """Ask for a new version of a gallery. Raises Unavailable."""


class CelerySender:
    """Sends tasks over Celery's broker."""

    def __init__(self, redis_url: str) -> None:
        messages.stamp_all()
        self._app = Celery("geofix-sender", broker=redis_url, set_as_current=False)
        self._app.conf.update(
            task_ignore_result=True,
            broker_transport_options={"socket_connect_timeout": 5, "socket_timeout": 10},
        )

    async def chunk(self, task: Task) -> None:
        """Ask for one chunk to be worked on."""
        await self._send(
            LOCATE_CHUNK, (task.job_id, task.chunk), BATCH_QUEUE, CELERY_PRIORITY[task.priority]
        )

    async def webhook(self, job_id: str) -> None:
        """Ask for the call that tells of a job's end."""
        await self._send(WEBHOOK, (job_id,), CONTROL_QUEUE, 0)

    async def sweep(self, after_s: float) -> None:
        """Ask for a sweep so many seconds from now."""
        await self._send(SWEEP, (), CONTROL_QUEUE, 0, after_s)

    async def reindex(
        self,
        gallery: str,
        base: int,
        model: str,
        quantization: str,
        pace: float,
        most_missing: float,
    ) -> None:
        """Ask for a new version of a gallery."""
        given = (gallery, base, model, quantization, pace, most_missing)
        await self._send(REINDEX, given, REINDEX_QUEUE, 0)

    async def _send(
        self, name: str, args: tuple[object, ...], queue: str, priority: int, after_s: float = 0.0
    ) -> None:
        send = partial(
            self._app.send_task,
            name,
            args=args,
            queue=queue,
            priority=priority,
            countdown=after_s or None,
        )
        try:
            await asyncio.to_thread(send, retry_policy=_RETRY)
        except (OperationalError, OSError) as error:
            raise Unavailable("The broker of tasks does not answer.") from error
