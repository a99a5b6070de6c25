"""Settings, read once from the environment (``GEOFIX_…``) and an optional ``.env`` file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class LmmPrompt(BaseModel):
    """One prompt of the ensemble that a language model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    references: Annotated[int, Field(ge=0, le=50)] = 0
    """How many similar photos the prompt names, and as many dissimilar ones."""
    n: Annotated[int, Field(ge=1, le=20)] = 5
    """Generations asked for."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    style: Literal["direct", "geocot"] = "direct"
    """``geocot``: five questions from the coarse to the fine before the answer."""


class QdrantLayout(BaseModel):
    """How a gallery's collections are laid out on a Qdrant server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: Annotated[int, Field(ge=1, le=1024)] = 1
    """Parts of a collection; one for each node of a cluster or a few times as many."""
    replicas: Annotated[int, Field(ge=1, le=16)] = 1
    """Nodes that hold each part."""
    on_disk: bool = True
    """Keep full vectors and payloads on the disk; int8 copies and the graph stay in memory."""


class Settings(BaseSettings):
    """Everything an operator may set; the defaults need no server, key or network."""

    model_config = SettingsConfigDict(env_prefix="GEOFIX_", env_file=".env", extra="ignore")

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("geofix"),
        description="Where galleries, pulled models and the lock of the owner live.",
    )
    model: str = Field(default="lite", description="Name of the encoder in the model manifest.")
    gallery: str = Field(
        default="default", description="Gallery searched when a request names none."
    )
    qdrant_url: str = Field(
        default="",
        description="Qdrant server that indexes the galleries, with its gRPC port: "
        "http://qdrant:6334; empty = the embedded one.",
    )
    qdrant_api_key: SecretStr = Field(default=SecretStr(""), description="Key of that server.")
    qdrant_deadline_s: Annotated[float, Field(gt=0)] = Field(
        default=10.0, description="Longest wait for one answer of that server, in seconds."
    )
    qdrant_layout: QdrantLayout = Field(
        default=QdrantLayout(), description="Shards, replicas and storage there, as JSON."
    )
    threads: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Threads of one encoder session; 0 = one per physical core."
    )
    devices: tuple[str, ...] = Field(
        default=("auto",),
        min_length=1,
        description="Where the encoder runs, as JSON: cpu, cuda:0, tensorrt:0 …, one session on "
        "each; auto = the first GPU if there is one.",
    )
    fp16: bool = Field(default=False, description="Let GPUs compute in half precision.")
    batch_size: Annotated[int, Field(ge=0, le=256)] = Field(
        default=0, description="Photos encoded at once; 0 = what is measured to be quickest."
    )
    decoders: Annotated[int, Field(ge=0, le=256)] = Field(
        default=0, description="Threads that decode photos; 0 = one per core."
    )
    max_wait_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0,
        description="A photo is refused (503) when it would wait longer for its embedding.",
    )
    batch_max_wait_s: Annotated[float, Field(gt=0)] = Field(
        default=60.0, description="The same for photos of batch jobs, which let others pass."
    )
    search_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0,
        description="Wall-clock limit of searching a gallery for one answer, in seconds.",
    )
    neighbours: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=50, description="Gallery photos retrieved for one query."
    )
    budget_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0,
        description="Wall-clock limit of one answer, in seconds, where a request sets none: "
        "generators that are not done by then are left out.",
    )
    thumbnails: bool = Field(
        default=False,
        description="Keep a small picture, without metadata, of every photo added to a gallery; "
        "a request may say otherwise.",
    )
    host: str = Field(default="127.0.0.1", description="Address the service listens on.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=8000, description="Port of the service."
    )
    max_body_bytes: Annotated[int, Field(ge=1)] = Field(
        default=20 * 1024 * 1024, description="Largest request body, in bytes."
    )
    max_held_bytes: Annotated[int, Field(ge=1)] = Field(
        default=512 * 1024 * 1024, description="Bodies of all requests in memory, in bytes."
    )
    max_connections: Annotated[int, Field(ge=1)] = Field(
        default=2048, description="Open connections; beyond, the one idle longest is closed."
    )
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
    auth: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="Whether callers must say who they are; auto = unless on loopback.",
    )
    open_to_anyone: bool = Field(
        default=False,
        description="With auth=off: listen beyond loopback all the same. Both are needed.",
    )
    keys_file: Path | None = Field(
        default=None, description="Where API keys are kept; none = keys.json in the data directory."
    )
    privacy_hook: str = Field(
        default="",
        description="Function that sees a photo first and may refuse or coarsen, module:function.",
    )
    audit: bool = Field(default=True, description="Keep an audit of who asked what.")
    audit_days: Annotated[int, Field(ge=0)] = Field(
        default=90, description="Days for which the audit is kept; 0 = for ever."
    )
    audit_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the audit's photo hashes; empty = one made in the data directory.",
    )
    cache_s: Annotated[float, Field(ge=0)] = Field(
        default=3600.0, description="Seconds for which answers are kept for repeats; 0 = none."
    )
    cache_bytes: Annotated[int, Field(ge=0)] = Field(
        default=64 * 1024 * 1024, description="Answers kept in memory for repeats, in bytes."
    )
    oidc_issuer: str = Field(
        default="", description="Issuer of bearer tokens, https://…; empty = none are accepted."
    )
    oidc_audience: str = Field(default="", description="Audience a token must name.")
    oidc_jwks_url: str = Field(
        default="", description="Where the issuer's keys are; empty = as its discovery says."
    )
    oidc_scope_claim: str = Field(
        default="scope", description="Claim that lists the token's scopes."
    )
    oidc_cap_km: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Precision cap of every token, in km; 0 = none."
    )
    oidc_limits: str = Field(
        default="", description="Limits of every token's subject, as 10/second;1000/day."
    )
    service_url: str = Field(
        default="",
        description="Where the service answers; empty = the one that owns the data directory.",
    )
    api_key: SecretStr = Field(
        default=SecretStr(""), description="What commands show that service, as gfx_…."
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
    text_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="Wall-clock limit of reading text in one photo, in seconds."
    )
    attributes_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="Wall-clock limit of weighing visible attributes, in seconds."
    )
    keep_s: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="Seconds for which an answer with keep=true can be refined."
    )
    keep_bytes: Annotated[int, Field(ge=0)] = Field(
        default=64 * 1024 * 1024, description="Memory for what is kept to refine, in bytes."
    )
    feedback_s: Annotated[float, Field(gt=0)] = Field(
        default=86_400.0, description="Seconds for which the truth of an answer can be told."
    )
    feedback_answers: Annotated[int, Field(ge=1)] = Field(
        default=50_000, description="Answers whose truth can be told; older ones are forgotten."
    )
    page_tiles: str = Field(
        default="",
        description="Map tiles of the web page, https://…/{z}/{x}/{y}.png or a raster .pmtiles; "
        "empty = the coastlines and borders that are built in.",
    )
    page_tiles_attribution: str = Field(default="", description="Credit shown for them.")

    lmm_base_url: str = Field(
        default="",
        description="OpenAI-compatible endpoint, up to and with /v1; empty = OpenAI's own.",
    )
    lmm_api_key: SecretStr = Field(default=SecretStr(""), description="Key of that endpoint.")
    lmm_model: str = Field(
        default="",
        description="Model asked. No model is asked without this and a base URL or a key.",
    )
    lmm_prompts: tuple[LmmPrompt, ...] = Field(
        default=tuple(LmmPrompt(references=references) for references in (0, 5, 10, 15)),
        min_length=1,
        description="The ensemble, as JSON.",
    )
    lmm_thumbnails: bool = Field(
        default=False,
        description="Send the neighbours' thumbnails: the model takes several pictures.",
    )
    lmm_image_side: Annotated[int, Field(ge=64, le=4096)] = Field(
        default=1024, description="Longest side of the photo as sent, in pixels."
    )
    lmm_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="Wall-clock limit of all calls for one photo, in seconds."
    )
    lmm_retries: Annotated[int, Field(ge=0, le=10)] = Field(
        default=2, description="Further attempts after a failure that may pass."
    )
    lmm_parallel: Annotated[int, Field(ge=1)] = Field(
        default=8, description="Calls in flight at once."
    )
    lmm_max_output_tokens: Annotated[int, Field(ge=16)] = Field(
        default=1024, description="Longest generation; thinking models need more."
    )
    lmm_max_calls: Annotated[int, Field(ge=0)] = Field(
        default=40, description="Calls for one photo; 0 = no limit."
    )
    lmm_max_tokens: Annotated[int, Field(ge=0)] = Field(
        default=100_000, description="Tokens in and out for one photo; 0 = no limit."
    )
    lmm_max_cost_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Money for one photo; 0 = no limit."
    )
    lmm_key_max_calls: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Calls for one caller's key and UTC day; 0 = no limit."
    )
    lmm_key_max_tokens: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Tokens for one caller's key and UTC day; 0 = no limit."
    )
    lmm_key_max_cost_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Money for one caller's key and UTC day; 0 = no limit."
    )
    lmm_input_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Price of a million input tokens; limits of money need it."
    )
    lmm_output_usd: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Price of a million output tokens."
    )
    lmm_breaker_failures: Annotated[int, Field(ge=1)] = Field(
        default=5, description="Failures in a row after which the endpoint is left alone."
    )
    lmm_breaker_reset_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Seconds after which one call probes whether it has recovered."
    )
    lmm_cache_size: Annotated[int, Field(ge=0)] = Field(
        default=1024, description="Answered prompts kept in memory; 0 = none."
    )
    lmm_cache_ttl_s: Annotated[float, Field(gt=0)] = Field(
        default=3600.0, description="Seconds for which they are kept."
    )

    @property
    def lmm_configured(self) -> bool:
        """Whether a language model may be asked at all."""
        return bool(self.lmm_model and (self.lmm_base_url or self.lmm_api_key.get_secret_value()))


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
