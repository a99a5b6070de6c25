"""Every task as a span, in the trace of the request or task that has sent it."""

from __future__ import annotations

from celery import Task, signals
from opentelemetry.trace import SpanKind

from geofix.observability import tracing
from geofix.settings import Settings

_HEADERS = ("traceparent", "tracestate")


class TracedTask(Task[..., None]):
    """A task that runs within its span."""

    abstract = True

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Run the task."""
        said = {name: getattr(self.request, name, None) for name in _HEADERS}
        sent = {name: str(value) for name, value in said.items() if value}
        with tracing.received(self.name, SpanKind.CONSUMER, sent, {}):
            self.run(*args, **kwargs)


def install(config: Settings) -> None:
    """Send the spans of each process that works."""

    def start(**_: object) -> None:
        tracing.start(config, "worker")

    def stop(**_: object) -> None:
        tracing.stop()

    signals.worker_process_init.connect(start, weak=False)
    signals.worker_process_shutdown.connect(stop, weak=False)
