"""Traces: a request, the tasks it leads to and the stages of their answers, sent by OTLP.

Off unless a collector is set. The provider is our own and never the process's: libraries that
trace by themselves would tell of paths and queries, into which people put keys.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    NoOpTracerProvider,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    TracerProvider,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars, get_contextvars

from geofix.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

_PATH = "/v1/traces"
_FLUSH_MS = 5000
_FORMAT = TraceContextTextMapPropagator()

Attributes = Mapping[str, str | int | float]


class _Sending:
    """Where the spans of this process go."""

    provider: TracerProvider = NoOpTracerProvider()
    sdk: SdkTracerProvider | None = None


def start(config: Settings, role: str) -> None:
    """Send this process's spans to the collector of these settings; nothing where none is set.

    To be called by the process that works: the thread that sends does not survive a fork.
    """
    if not config.trace_url:
        return
    # Half a second to import, for those who trace.
    from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415
    from opentelemetry.sdk import resources, trace  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415

    told = {"service.name": f"geofix-{role}", "service.version": version("geofix")}
    # By the trace's id alone: all our processes choose the same ones, and no caller chooses.
    chosen = TraceIdRatioBased(config.trace_share)
    provider = trace.TracerProvider(chosen, resources.Resource.create(told))
    exporter = trace_exporter.OTLPSpanExporter(config.trace_url.rstrip("/") + _PATH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _Sending.provider = _Sending.sdk = provider


def stop() -> None:
    """Send what is left."""
    if _Sending.sdk is not None:
        _Sending.sdk.force_flush(_FLUSH_MS)
        _Sending.sdk.shutdown()
    _Sending.provider, _Sending.sdk = NoOpTracerProvider(), None


@contextmanager
def received(
    name: str, kind: SpanKind, headers: Mapping[str, str], attributes: Attributes
) -> Iterator[Span]:
    """Work on a message with these headers, in the trace that they name or in a new one.

    While it lasts, the trace's id is in every line of the log.
    """
    parent = _FORMAT.extract(headers, Context())
    with _tracer().start_as_current_span(
        name, parent, kind=kind, attributes=attributes, record_exception=False
    ) as begun:
        context = begun.get_span_context()
        named = {"trace_id": f"{context.trace_id:032x}"} if context.is_valid else {}
        with bound_contextvars(**named):
            yield begun


@contextmanager
def part(name: str, attributes: Attributes) -> Iterator[None]:
    """A part of the work at hand."""
    with _tracer().start_as_current_span(name, attributes=attributes, record_exception=False):
        yield


def ended(name: str, seconds: float, attributes: Attributes, *, failed: bool = False) -> None:
    """A part of the work at hand that has just come to its end."""
    now = time.time_ns()
    span = _tracer().start_span(name, attributes=attributes, start_time=now - int(seconds * 1e9))
    if failed:
        span.set_status(StatusCode.ERROR)
    span.end(now)


def headers() -> dict[str, str]:
    """What a message to another of our processes says of the work at hand; none outside of it."""
    carrier: dict[str, str] = {}
    _FORMAT.inject(carrier)
    return carrier


def exemplar() -> dict[str, str] | None:
    """What leads from an observation to its request's log lines, and to its trace."""
    named: dict[str, str] = {}
    if request_id := get_contextvars().get("request_id"):
        named["request_id"] = str(request_id)
    context = get_current_span().get_span_context()
    if context.is_valid and context.trace_flags.sampled:
        named["trace_id"] = f"{context.trace_id:032x}"
    return named or None


def _tracer() -> Tracer:
    return _Sending.provider.get_tracer("geofix")
