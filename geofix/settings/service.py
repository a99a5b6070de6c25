"""What the web service listens to, holds and remembers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class ServiceSettings(BaseModel):
    """What the web service listens to, holds and remembers."""

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
    cache_s: Annotated[float, Field(ge=0)] = Field(
        default=3600.0, description="Seconds for which answers are kept for repeats; 0 = none."
    )
    cache_bytes: Annotated[int, Field(ge=0)] = Field(
        default=64 * 1024 * 1024, description="Answers kept in memory for repeats, in bytes."
    )
    feedback_s: Annotated[float, Field(gt=0)] = Field(
        default=86_400.0, description="Seconds for which the truth of an answer can be told."
    )
    feedback_answers: Annotated[int, Field(ge=1)] = Field(
        default=50_000, description="Answers whose truth can be told; older ones are forgotten."
    )
    replica: bool = Field(
        default=False,
        description="Answer from a copy of another service's galleries, made by `geofix "
        "replicate`, and refuse to change them.",
    )
    page_tiles: str = Field(
        default="",
        description="Map tiles of the web page, https://…/{z}/{x}/{y}.png or a raster .pmtiles; "
        "empty = the coastlines and borders that are built in.",
    )
    page_tiles_attribution: str = Field(default="", description="Credit shown for them.")
    drain_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.5,
        description="Told to end, the service is not ready for so many seconds and answers all the "
        "same: as long as load balancers take to notice.",
    )
    trace_url: str = Field(
        default="",
        description="Where traces are sent by OTLP over HTTP, as http://collector:4318; empty = "
        "nowhere. OTEL_EXPORTER_OTLP_HEADERS is sent along.",
    )
    trace_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0, description="Share of the requests that are traced, each with all its tasks."
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="How the service and workers log to stderr; json = one object a line, with "
        "the request's id and, where traces are sent, the trace's; and one for every request.",
    )
