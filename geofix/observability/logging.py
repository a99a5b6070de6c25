"""Logs as JSON, one object a line, for whoever collects them. Off unless it is set."""

from __future__ import annotations

import logging
import sys

import structlog

from geofix.settings import Settings


def begin(config: Settings) -> None:
    """Log to stderr as these settings say; for workers, which tell of what is wrong alone."""
    if config.log_format == "json":
        as_json()
    else:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")


def as_json() -> None:
    """Write what any logger of this process says to stderr as JSON, with the request's id.

    Our own loggers tell what they do (INFO), libraries only what is wrong. A trace is text within
    its object; the values of its variables are never shown.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("geofix").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
