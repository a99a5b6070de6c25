"""POST /v1/internal/locate: photos in the object store, asked for by a worker.

The answers stream as NDJSON, one ``Located`` a line, in the order they finish. It is no part of
the public API: only who shows the workers' key is answered.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from typing import cast

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import StreamingResponse

from geofix.errors import Forbidden
from geofix.remote.engine import KEY_HEADER, REFERENCES_PATH, Located, ReferencesRequest
from geofix.remote.worker_key import worker_key
from geofix.settings import Settings
from service.internal.inputs import Inputs
from service.locate.local import LocalEngine
from service.running import locator_of, settings_of

router = APIRouter(include_in_schema=False)

NDJSON = "application/x-ndjson"


def attach(app: FastAPI, config: Settings) -> None:
    """Let ``app`` read the inputs of the jobs of these settings."""
    app.state.inputs = Inputs(config)


@router.post(REFERENCES_PATH)
async def locate_references(request: Request, asked: ReferencesRequest) -> StreamingResponse:
    """Where these photos were taken; on the batch lane."""
    await _admit(request)
    inputs = cast("Inputs", request.app.state.inputs)
    engine = LocalEngine(locator_of(request), settings_of(request).neighbours, inputs.read)
    options = await engine.understand(asked.options, asked.account)
    lines = _lines(engine.locate_each(asked.references, options))
    return StreamingResponse(lines, media_type=NDJSON)


async def _admit(request: Request) -> None:
    """Raises Forbidden for anybody but a worker."""
    shown = request.headers.get(KEY_HEADER, "")
    wanted = await asyncio.to_thread(worker_key, settings_of(request))
    if not hmac.compare_digest(shown.encode(), wanted.encode()):
        raise Forbidden("Only the service's own workers are answered here.")


async def _lines(located: AsyncIterator[Located]) -> AsyncIterator[str]:
    async for one in located:
        yield one.model_dump_json() + "\n"
