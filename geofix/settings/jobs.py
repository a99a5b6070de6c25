"""Batch jobs: where they are kept, how large they may be, and who works on them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr


class JobSettings(BaseModel):
    """Batch jobs: where they are kept, how large they may be, and who works on them."""

    redis_url: str = Field(
        default="",
        description="Redis or Valkey for batch jobs, as redis://host:port/0; empty = no jobs.",
    )
    object_store_url: str = Field(
        default="",
        description="Where jobs keep inputs and results: s3://, gs://, az:// or file://; empty = "
        "the folder objects in the data directory.",
    )
    job_max_body_bytes: Annotated[int, Field(ge=1)] = Field(
        default=64 * 2**30, description="Largest upload of one job, in bytes."
    )
    job_max_items: Annotated[int, Field(ge=1)] = Field(
        default=100_000, description="Most photos in one job."
    )
    job_max_bytes: Annotated[int, Field(ge=1)] = Field(
        default=64 * 2**30, description="Most bytes of photos in one job, unpacked."
    )
    job_max_photo_bytes: Annotated[int, Field(ge=1)] = Field(
        default=50 * 2**20, description="Largest photo of a job, in bytes."
    )
    job_quota_running: Annotated[int, Field(ge=1)] = Field(
        default=20, description="Jobs that one key may have unfinished."
    )
    job_quota_items: Annotated[int, Field(ge=1)] = Field(
        default=500_000, description="Photos in the unfinished jobs of one key."
    )
    job_quota_bytes: Annotated[int, Field(ge=1)] = Field(
        default=256 * 2**30, description="Bytes of inputs of all jobs kept for one key."
    )
    job_chunk_items: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=16, description="Photos that a worker takes at a time."
    )
    job_window_chunks: Annotated[int, Field(ge=1)] = Field(
        default=16, description="Chunks of one job that are with the workers at a time."
    )
    job_expires_h: Annotated[float, Field(gt=0)] = Field(
        default=24.0, description="Hours in which a job must be done."
    )
    job_kept_days: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Days a finished job is kept; a job may ask for fewer."
    )
    job_reference_prefixes: tuple[str, ...] = Field(
        default=(),
        description="Object-store prefixes that jobs may name photos in, as JSON; none = no one.",
    )
    webhook_allow: tuple[str, ...] = Field(
        default=(),
        description="Networks, as JSON, that webhooks may reach though they are not public.",
    )
    worker_key: SecretStr = Field(
        default=SecretStr(""),
        description="What a worker shows the service; empty = worker.key in the data directory.",
    )
    worker_engine: Literal["remote", "local"] = Field(
        default="remote",
        description="Whether workers ask the service or hold a model of their own, in a data "
        "directory that no service owns.",
    )
    worker_metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0,
        description="Port of the host address on which a worker answers /metrics; 0 = none. "
        "Workers of one machine need one each.",
    )
