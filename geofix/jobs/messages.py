"""What a task's message carries beside its arguments: when it was sent, and in which trace."""

from __future__ import annotations

import time
from collections.abc import MutableMapping

from celery.signals import before_task_publish
from pydantic import BaseModel, ValidationError

from geofix.observability import tracing

SENT_AT = "geofix_sent_at"


class _Headers(BaseModel):
    geofix_sent_at: float


class _Message(BaseModel):
    headers: _Headers


def stamp_all() -> None:
    """Have every message that this process sends from now on carry these."""
    before_task_publish.connect(_stamp, dispatch_uid="geofix.stamp")


def _stamp(headers: MutableMapping[str, object], **_: object) -> None:
    headers[SENT_AT] = time.time()
    headers.update(tracing.headers())


def sent_at(message: str) -> float | None:
    """When a message of the broker was sent, in Unix seconds; None where it does not say."""
    try:
        return _Message.model_validate_json(message).headers.geofix_sent_at
    except ValidationError:
        return None
