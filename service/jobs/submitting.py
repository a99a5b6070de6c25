"""A new job, from the request to the acknowledgement."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from fastapi import Request

from geofix.errors import Conflict, Forbidden, IdempotencyMismatch, NotFound
from geofix.jobs.addresses import resolve
from geofix.jobs.idempotency import job_id_of, uploading
from geofix.jobs.packing import Packer
from geofix.jobs.store import JobStore, new_job_id
from geofix.jobs.types import Job, Manifest, Webhook
from geofix.settings import Settings
from service import precision
from service.auth.access import caller_of
from service.jobs.intake import Intake, Taken
from service.jobs.parameters import Asked, asked
from service.request_id import request_id
from service.running import audit_of, locator_of, settings_of

_HOUR_S = 3600.0


async def submit(request: Request, store: JobStore) -> tuple[Job, bool]:
    """The job that the request asks for, and whether it had been made before.

    When this returns, the job and its inputs are in the store; when it raises, nothing is.
    """
    caller = caller_of(request)
    if caller.no_store:
        raise Forbidden("A job keeps photos and results, and this key may keep nothing.")
    key = request.headers.get("idempotency-key")
    if key is None:
        return await _upload(request, store, new_job_id(), ""), False
    job_id, record = await job_id_of(store, caller.account, key)
    try:
        return await _replay(request, store, await store.get(job_id, caller.account)), True
    except NotFound:
        async with uploading(store, job_id):
            return await _upload(request, store, job_id, record), False


async def _replay(request: Request, store: JobStore, job: Job) -> Job:
    """The job of an earlier request, if this one asks the same. Raises IdempotencyMismatch."""
    packer = Packer(None, "", store.config.job_chunk_items)
    taken = await Intake(request, packer, settings_of(request)).take()
    wanted = asked([*request.query_params.multi_items(), *taken.fields])
    if packer.fingerprint(wanted.canonical()) != job.manifest.fingerprint:
        raise IdempotencyMismatch(
            "This Idempotency-Key stands for a job with other photos or options. Use a new key."
        )
    return job


async def _upload(request: Request, store: JobStore, job_id: str, record: str) -> Job:
    """Put the inputs into the store, then the manifest; take all of it back on failure."""
    config = settings_of(request)
    query = request.query_params.multi_items()
    await _check(request, asked(query), config)
    await store.check_quota(caller_of(request).account)
    folder = f"inputs-{secrets.token_hex(4)}"
    packer = Packer(store.records.objects, f"jobs/{job_id}/{folder}", config.job_chunk_items)
    try:
        taken = await Intake(request, packer, config).take()
        wanted = asked([*query, *taken.fields])
        if taken.fields:
            await _check(request, wanted, config)
        manifest = await _manifest(request, packer, wanted, taken)
        manifest = replace(manifest, id=job_id, inputs=folder, idempotency=record)
        await _audit(request, manifest)
        job = await store.accept(manifest)
    except BaseException:
        await store.records.objects.remove_below(f"jobs/{job_id}/{folder}/")
        raise
    if job.manifest.inputs != folder:
        await store.records.objects.remove_below(f"jobs/{job_id}/{folder}/")
        raise Conflict("Another request with this Idempotency-Key was first. Send it again.")
    return job


async def _audit(request: Request, manifest: Manifest) -> None:
    """Say who asked; what became of each photo is audited when it is answered."""
    await audit_of(request).record(
        "job",
        request=request_id(request.scope),
        account=manifest.owner,
        options=dict(manifest.options),
    )


async def _check(request: Request, wanted: Asked, config: Settings) -> None:
    """Refuse at once what would fail for every photo."""
    precision.check(wanted.options, caller_of(request).cap_km)
    await locator_of(request).check(wanted.options.engine(neighbours=config.neighbours))
    if wanted.parameters.webhook:
        await resolve(wanted.parameters.webhook, config.webhook_allow)


async def _manifest(request: Request, packer: Packer, wanted: Asked, taken: Taken) -> Manifest:
    config, parameters = settings_of(request), wanted.parameters
    packed = await packer.close()
    expires_h = parameters.expires_h or config.job_expires_h
    kept_days = min(parameters.kept_days or config.job_kept_days, config.job_kept_days)
    return Manifest(
        id="",
        owner=caller_of(request).account,
        created_at=time.time(),
        options=wanted.strings(),
        priority=parameters.priority,
        items=packed.items,
        chunks=packed.chunks,
        input_bytes=packed.bytes,
        inputs="",
        fingerprint=packer.fingerprint(wanted.canonical()),
        skipped=taken.skipped,
        skipped_count=taken.skipped_count,
        webhook=Webhook(parameters.webhook) if parameters.webhook else None,
        expires_after_s=expires_h * _HOUR_S,
        kept_for_s=kept_days * 24 * _HOUR_S,
    )
