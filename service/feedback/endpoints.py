"""POST /v1/feedback: what was true."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from geofix.errors import (
    Conflict,
    InvalidCoordinate,
    InvalidOption,
    InvalidRequest,
    NotFound,
    PhotoTooLarge,
    Unavailable,
    UnsupportedContentType,
)
from service import uploads
from service.auth.access import caller_of
from service.feedback.schemas import Measured, Recorded, Truth
from service.problems import responses
from service.running import answers_of

router = APIRouter(prefix="/v1", tags=["feedback"])


@router.post(
    "/feedback",
    operation_id="tellTruth",
    summary="Say where the photo of an earlier answer was really taken",
    response_model=Measured,
    responses={
        201: {"model": Measured, "description": "It is kept."},
        200: {"model": Measured, "description": "It was known, or has replaced another."},
        **responses(
            InvalidRequest,
            NotFound,
            Conflict,
            PhotoTooLarge,
            UnsupportedContentType,
            InvalidOption,
            InvalidCoordinate,
            Unavailable,
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {uploads.JSON: {"schema": {"$ref": "#/components/schemas/Truth"}}},
        }
    },
)
async def tell_truth(request: Request, response: Response) -> Measured:
    """Answers can be told about for a day, and until the service stops.

    Told twice, a truth is kept once; another truth takes its place, until ten were told. Nothing of
    the photo is kept but its hash.
    """
    truth = await uploads.read_json(request, Truth)
    measured = await answers_of(request).tell(truth, caller_of(request).account)
    response.status_code = 201 if measured.recorded is Recorded.NEW else 200
    return measured
