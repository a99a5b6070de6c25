"""The web service: one application, one engine, one package a resource."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

from geofix.engine.locate import Locator
from geofix.errors import (
    Forbidden,
    InvalidOption,
    InvalidRequest,
    PhotoRefused,
    PrecisionCapped,
    QuotaExceeded,
    SlowRequest,
    Unauthenticated,
)
from geofix.observability import slo, state, tracing
from geofix.observability.metrics import EngineMetrics
from geofix.settings import Settings, settings
from service import description, problems, running, shared
from service.audit import Audit
from service.auth import access
from service.auth.caller import Scope
from service.draining import Draining
from service.embed.endpoints import router as embed_router
from service.etags import EntityTags
from service.feedback.answers import AnswersGiven
from service.feedback.endpoints import router as feedback_router
from service.galleries.coverage import router as coverage_router
from service.galleries.endpoints import router as galleries_router
from service.galleries.keeping import router as keeping_router
from service.galleries.photos import router as photos_router
from service.galleries.points import router as points_router
from service.galleries.versions import listing as versions_listing
from service.galleries.versions import router as versions_router
from service.headers import ResponseHeaders
from service.health.endpoints import router as health_router
from service.internal import endpoints as internal
from service.internal.copying import router as copying_router
from service.jobs import running as jobs_running
from service.jobs.endpoints import router as jobs_router
from service.jobs.outputs import router as outputs_router
from service.limits import JOBS_PATH, BodyLimit
from service.locate.cache import AnswerCache
from service.locate.endpoints import router as locate_router
from service.metering import Metering
from service.page.endpoints import router as page_router
from service.page.reference import router as reference_router
from service.replica import refuse_change
from service.request_id import RequestId
from service.tracing import Tracing

_ACCESS = (
    (locate_router, access.allowed(Scope.LOCATE, capped=True)),
    (feedback_router, access.allowed(Scope.LOCATE, capped=True)),
    (embed_router, access.allowed(Scope.LOCATE)),
    (galleries_router, access.allowed(Scope.GALLERIES)),
    (photos_router, access.allowed(Scope.GALLERIES)),
    (points_router, access.allowed(Scope.GALLERIES)),
    (versions_listing, access.allowed(Scope.GALLERIES)),
    (versions_router, access.allowed(Scope.ADMIN)),
    (keeping_router, access.allowed(Scope.ADMIN)),
    (coverage_router, access.allowed(Scope.GALLERIES)),
    (jobs_router, access.allowed(Scope.JOBS, capped=True)),
    (outputs_router, access.allowed(Scope.JOBS, capped=True)),
)
"""Who may use which resource. ``capped``: its answers are coarsened for keys with a cap."""

_ANYWHERE = (
    *(Unauthenticated, Forbidden, PhotoRefused, PrecisionCapped, QuotaExceeded),
    *(InvalidRequest, InvalidOption, SlowRequest),
)
"""Errors with which any of these may answer."""

_SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own would tell of paths and queries, into which people put keys."""


class _Application(FastAPI):
    """FastAPI whose OpenAPI says all there is to say."""

    def openapi(self) -> dict[str, Any]:  # as FastAPI types it
        described = self.openapi_schema is not None
        document = super().openapi()
        return document if described else description.complete(document)


def create_app(config: Settings | None = None) -> FastAPI:
    """The service as an ASGI application; it opens its engine when it starts."""
    config = config or settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine(app):
            yield

    app = _Application(
        title="Geofix",
        version=version("geofix"),
        description=description.TEXT,
        lifespan=lifespan,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # they tell paths and queries
        docs_url=None,  # FastAPI's pages load scripts from elsewhere: service.page.reference
        redoc_url=None,
        redirect_slashes=False,  # a redirect is no problem document, and trusts the Host header
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.settings = config
    app.state.answers = AnswersGiven(config)
    running.attach(app, None)
    jobs_running.attach(app, None)
    app.state.shared = shared.pool(config.redis_url)
    app.state.cache = AnswerCache(config, app.state.shared)
    app.state.audit = Audit(config)
    access.attach(app, access.Gate(config, app.state.shared))
    internal.attach(app, config)
    for router, needed in _ACCESS:
        app.include_router(
            router,
            dependencies=[Depends(needed), Depends(refuse_change)],
            responses=problems.responses(*_ANYWHERE),
        )
    for router in (
        *(health_router, page_router, reference_router),
        *(internal.router, copying_router),
    ):
        app.include_router(router)
    problems.install(app)
    app.add_middleware(
        BodyLimit,
        limit=config.max_body_bytes,
        held=config.max_held_bytes,
        streamed={JOBS_PATH: config.job_max_body_bytes},
    )
    app.add_middleware(EntityTags)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(Draining, service=app)
    app.add_middleware(Metering)
    if config.trace_url:
        app.add_middleware(Tracing)
    app.add_middleware(RequestId)
    return app


@asynccontextmanager
async def engine(app: FastAPI) -> AsyncIterator[None]:
    """Open the engine of ``app`` as the owner of the data directory; close it at the end.

    Raises DataDirectoryBusy when another process owns it, ModelUnavailable for a bad model.
    """
    config: Settings = app.state.settings
    tracing.start(config, "service")
    locator = await Locator.open(config, role="service", watch=EngineMetrics())
    slo.announce()
    state.set_build(version("geofix"), locator.encoder.name)
    locator.announce(_address(config))
    running.attach(app, locator)
    tidying = asyncio.create_task(locator.galleries.keep_tidy())
    try:
        async with jobs_running.jobs_of_settings(config) as jobs:
            jobs_running.attach(app, jobs)
            yield
    finally:
        running.attach(app, None)
        jobs_running.attach(app, None)
        tidying.cancel()
        await locator.close()
        await shared.close(app.state.shared)
        await asyncio.to_thread(tracing.stop)


def _address(config: Settings) -> str:
    """Where processes of this machine reach the service."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"
