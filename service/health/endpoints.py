"""GET /healthz and /readyz: for whoever starts, stops and balances the service."""

from __future__ import annotations

from fastapi import APIRouter, Request

from geofix.errors import Unavailable
from service.health.schemas import Alive, Ready
from service.problems import responses
from service.running import locator_of

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="healthz", summary="Is the process alive?")
async def healthz() -> Alive:
    """Answers as long as the process can answer at all."""
    return Alive()


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Can it locate?",
    responses=responses(Unavailable),
)
async def readyz(request: Request) -> Ready:
    """503 until the model is warm and the galleries are open, and while shutting down."""
    return Ready(encoder=locator_of(request).encoder_name)
