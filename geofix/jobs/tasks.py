"""Tasks by name: how the service starts work without importing the workers."""

from __future__ import annotations

import asyncio
from typing import Protocol

from celery import Celery

from geofix.jobs.types import Priority, Task

LOCATE_CHUNK = "geofix.locate_chunk"
"""Arguments: job_id (str), chunk (int)."""
WEBHOOK = "geofix.webhook"
"""Arguments: job_id (str)."""
SWEEP = "geofix.sweep"
"""No arguments; runs every few seconds."""
COLLECT = "geofix.collect"
"""No arguments; runs every hour: what may be deleted is deleted."""

BATCH_QUEUE = "batch"
CONTROL_QUEUE = "control"
"""Sweeps and webhooks, which must not wait behind photos."""

CELERY_PRIORITY = {Priority.HIGH: 0, Priority.NORMAL: 3, Priority.LOW: 6}
"""Of the Redis transport, where 0 comes first; its default steps are 0, 3, 6 and 9."""

BATCH_QUEUES = tuple(
    f"{BATCH_QUEUE}\x06\x16{step}" if step else BATCH_QUEUE for step in (0, 3, 6, 9)
)
"""The lists in which the Redis transport keeps the queue's messages, one a priority."""


class TaskSender(Protocol):
    """Hands tasks to the workers."""

    async def chunk(self, task: Task) -> None:
        """Ask for one chunk to be worked on. Raises OSError when the broker is not reached."""

    async def webhook(self, job_id: str) -> None:
        """Ask for the call that tells of a job's end."""


class CelerySender:
    """Sends tasks over Celery's broker."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery("geofix-sender", broker=redis_url, set_as_current=False)
        self._app.conf.task_ignore_result = True

    async def chunk(self, task: Task) -> None:
        """Ask for one chunk to be worked on."""
        await self._send(
            LOCATE_CHUNK, (task.job_id, task.chunk), BATCH_QUEUE, CELERY_PRIORITY[task.priority]
        )

    async def webhook(self, job_id: str) -> None:
        """Ask for the call that tells of a job's end."""
        await self._send(WEBHOOK, (job_id,), CONTROL_QUEUE, 0)

    async def _send(self, name: str, args: tuple[object, ...], queue: str, priority: int) -> None:
        await asyncio.to_thread(
            self._app.send_task, name, args=args, queue=queue, priority=priority, retry=False
        )
