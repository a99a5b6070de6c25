"""Calls that tell of a job's end, signed by Standard Webhooks, to public addresses only."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
import secrets
import time
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook

from geofix.errors import GeofixError, NotFound
from geofix.jobs.addresses import resolve
from geofix.jobs.agenda import Due
from geofix.jobs.records import Mark
from geofix.jobs.store import JobStore
from geofix.jobs.types import Job

FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 3600.0
GIVEN_UP_AFTER_S = 86_400.0
TIMEOUT_S = 15.0

_SECRET = "secrets/webhook"  # noqa: S105 - the name of an object

log = logging.getLogger("geofix.jobs")


async def secret_of(store: JobStore, owner: str) -> str:
    """The ``whsec_…`` with which an owner's calls are signed; the same for all their jobs."""
    objects = store.records.objects
    await objects.create(_SECRET, secrets.token_bytes(32))
    root = await objects.get(_SECRET) or b""
    key = hmac.new(root, f"webhook:{owner}".encode(), hashlib.sha256).digest()
    return f"whsec_{base64.b64encode(key).decode()}"


async def deliver(store: JobStore, job_id: str) -> bool:
    """Make one attempt at a job's call; True when it need not be tried again.

    After a failure the next attempt is due when half as much time again has passed since the
    job's end, 5 s to an hour; ``sweep`` starts it. It is given up after a day.
    """
    try:
        job = await store.get(job_id)
    except NotFound:
        return True
    webhook, ended_at = job.manifest.webhook, job.ended_at
    if webhook is None or ended_at is None:
        await store.agenda.unschedule(Due.WEBHOOK, job_id)
        return True
    outcome = await _call(store, job, webhook.url)
    waited = time.time() - ended_at
    if outcome == "gone" or (outcome != "delivered" and waited > GIVEN_UP_AFTER_S):
        log.warning("job %s: the webhook was given up: %s", job_id, outcome)
    elif outcome != "delivered":
        delay = min(max(waited / 2, FIRST_DELAY_S), LONGEST_DELAY_S)
        delay *= random.uniform(0.9, 1.1)  # noqa: S311 - spreads load
        await store.agenda.schedule(Due.WEBHOOK, job_id, time.time() + delay)
        return False
    await store.records.mark(job_id, job.round, Mark.DELIVERED, {"outcome": outcome})
    await store.agenda.unschedule(Due.WEBHOOK, job_id)
    return True


async def _call(store: JobStore, job: Job, url: str) -> str:
    """``delivered``, ``gone``, or why not."""
    body = _payload(job)
    message, now = f"{job.id}-{job.round}", datetime.now(tz=UTC)
    secret = await secret_of(store, job.manifest.owner)
    try:
        target = await resolve(url, store.config.webhook_allow)
        headers = {
            "Host": target.url.netloc,
            "Content-Type": "application/json",
            "User-Agent": "geofix",
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(message, now, body),
        }
        async with (
            asyncio.timeout(2 * TIMEOUT_S),  # of the whole call: httpx limits each read alone
            httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=TIMEOUT_S) as client,
            client.stream(
                "POST",
                target.pinned,
                content=body,
                headers=headers,
                extensions={"sni_hostname": target.url.hostname},
            ) as response,
        ):
            status = response.status_code
    except GeofixError as error:
        return str(error)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return type(error).__name__
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == httpx.codes.GONE else f"status {status}"


def _payload(job: Job) -> str:
    return json.dumps(
        {
            "type": f"job.{job.state}",
            "timestamp": datetime.fromtimestamp(job.ended_at or 0.0, tz=UTC).isoformat(),
            "data": {
                "id": job.id,
                "state": job.state,
                "request_counts": {
                    "total": job.counts.total,
                    "completed": job.counts.completed,
                    "failed": job.counts.failed,
                },
            },
        }
    )
