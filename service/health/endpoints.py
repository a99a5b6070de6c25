"""GET /healthz, /readyz and /metrics: for whoever starts, balances and watches the service."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from geofix.errors import Unavailable
from geofix.observability import registry
from service import draining
from service.health import scraping
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
    draining.check(request.app)
    return Ready(encoder=locator_of(request).encoder.name)


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="What it has done, for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format, or OpenMetrics where `Accept` asks for it.",
            "content": {kind: {"schema": {"type": "string"}} for kind in registry.FORMATS},
        }
    },
)
async def metrics_(request: Request) -> Response:
    """Counters since the process began; answers while the service is not ready, too."""
    await scraping.look(request.app)
    text, content_type = registry.exposition(request.headers.get("accept", ""))
    return Response(text, media_type=content_type)
