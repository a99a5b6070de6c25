"""What workers ask: photos in the object store to be located, a version that they built to be used.

The answers of the former stream as NDJSON, one ``Located`` a line, in the order they finish. None
of this is part of the public API: only who shows the workers' key is answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from geofix.remote.engine import REFERENCES_PATH, Located, ReferencesRequest
from geofix.settings import Settings
from service.galleries.versions import Version, activate
from service.internal.admission import admit
from service.internal.inputs import Inputs
from service.locate.local import LocalEngine
from service.locate.schemas import PhotoInfo
from service.replica import refuse_change
from service.request_id import request_id
from service.running import audit_of, locator_of, settings_of

router = APIRouter(include_in_schema=False)

NDJSON = "application/x-ndjson"


def attach(app: FastAPI, config: Settings) -> None:
    """Let ``app`` read the inputs of the jobs of these settings."""
    app.state.inputs = Inputs(config)


@router.post(REFERENCES_PATH)
async def locate_references(request: Request, asked: ReferencesRequest) -> StreamingResponse:
    """Where these photos were taken; on the batch lane."""
    await admit(request)
    inputs = cast("Inputs", request.app.state.inputs)
    engine = LocalEngine(locator_of(request), settings_of(request).neighbours, inputs.read)
    options = await engine.understand(asked.options, asked.account)
    located = engine.locate_each(asked.references, options)
    return StreamingResponse(_lines(request, asked, located), media_type=NDJSON)


@router.post("/v1/internal/galleries/{name}/versions/{version}/activate")
async def activate_version(request: Request, name: str, version: int) -> Version:
    """Use a version that a worker has built."""
    await admit(request)
    await refuse_change(request)
    return await activate(request, name, version)


async def _lines(
    request: Request, asked: ReferencesRequest, located: AsyncIterator[Located]
) -> AsyncIterator[str]:
    """What became of each photo; an answer is audited before it leaves."""
    async for one in located:
        if one.answer:
            facts = _Audited.model_validate_json(one.answer)
            await audit_of(request).record(
                "job",
                request=request_id(request.scope),
                account=asked.account,
                sha256=facts.photo.sha256,
                options=asked.options,
                radius_90_km=facts.radius_90_km,
            )
        yield one.model_dump_json() + "\n"


class _Audited(BaseModel):
    """What the audit tells of an answer."""

    photo: PhotoInfo
    radius_90_km: float
