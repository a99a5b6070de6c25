"""/v1/galleries/{name}/versions: new versions of a gallery, and which one is used."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from geofix.engine.gallery import progress
from geofix.engine.gallery.port import Quantization
from geofix.engine.gallery.progress import Progress
from geofix.engine.gallery.revector import encoder_card
from geofix.engine.gallery.versions import VersionCard, VersionState
from geofix.errors import (
    CanariesFailed,
    Conflict,
    GeofixError,
    InvalidOption,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from geofix.observability import metrics
from service.auth.access import caller_of
from service.jobs.running import jobs_of
from service.problems import responses
from service.running import locator_of, settings_of

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])
listing = APIRouter(prefix="/v1/galleries", tags=["galleries"])
"""For whoever may search a gallery; the rest is for operators."""


class BuildingProgress(BaseModel):
    """How far a version has been built."""

    done: int = Field(description="Photos that it holds.")
    total: int = Field(description="Photos that it is to hold; more may come meanwhile.")
    at: str = Field(description="When that was noted.")

    @classmethod
    def of(cls, noted: Progress) -> BuildingProgress:
        """The same, to be sent."""
        return cls(done=noted.done, total=noted.total, at=noted.at)


class Version(BaseModel):
    """One version of a gallery."""

    version: int
    state: VersionState
    encoder: str
    dimension: int
    quantization: Quantization
    created_at: str
    ended_at: str = Field(description="When it was retired or rejected.")
    reason: str = Field(description="Why it was rejected or taken back.")
    figures: dict[str, float] = Field(description="What its validation measured.")
    missing: int = Field(description="Photos that could not be encoded again.")
    progress: BuildingProgress | None = Field(
        None, description="While it is being built; then its validation begins."
    )

    @classmethod
    def of(cls, card: VersionCard, noted: Progress | None = None) -> Version:
        """The same, to be sent."""
        building = card.state is VersionState.BUILDING
        return cls(
            version=card.version,
            state=card.state,
            encoder=card.encoder,
            dimension=card.dimension,
            quantization=card.quantization,
            created_at=card.created_at,
            ended_at=card.ended_at,
            reason=card.reason,
            figures=dict(card.figures),
            missing=card.missing,
            progress=BuildingProgress.of(noted) if noted and building else None,
        )


class Versions(BaseModel):
    """Every version of a gallery, oldest first."""

    versions: list[Version]


class ReindexRequest(BaseModel):
    """What a new version is to be; all parts may be left out."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=200)] = Field(
        "", description="Encoder; the one it has by default."
    )
    quantization: Quantization | None = Field(None, description="The one it has by default.")
    pace: Annotated[FiniteFloat, Field(gt=0, le=1, strict=True)] = Field(
        0.5, description="Share of the time that is worked."
    )
    most_missing: Annotated[FiniteFloat, Field(ge=0, le=1, strict=True)] = Field(
        0.0, description="Largest share of photos that need not be readable any more."
    )


class Accepted(BaseModel):
    """A re-index was asked for."""

    gallery: str
    base: int = Field(description="The version in use, of which the new one is made.")


class Activation(BaseModel):
    """Which version to use."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(strict=True, ge=1)]
    allow_missing: bool = Field(
        False, description="Whether photos that cannot be encoded again may be missing from it."
    )


@listing.get(
    "/{name}/versions",
    operation_id="listVersions",
    summary="The versions of a gallery",
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def list_versions(request: Request, name: str) -> Versions:
    """The one in use, those being built and how far, and those that can be gone back to."""
    galleries = locator_of(request).galleries
    galleries.require(name, caller_of(request).account)
    return await asyncio.to_thread(
        lambda: Versions(
            versions=[
                Version.of(card, progress.read(galleries.folder(name), card.version))
                for card in galleries.versions(name)
            ]
        )
    )


@router.post(
    "/{name}/reindex",
    operation_id="reindexGallery",
    summary="Build a new version, and use it when it is valid",
    status_code=202,
    responses=responses(InvalidRequest, NotFound, InvalidOption, Unavailable),
)
async def reindex_gallery(request: Request, name: str, asked: ReindexRequest) -> Accepted:
    """A worker builds it; searches and photos go on meanwhile. `…/versions` tells how it went.

    Asked for again while it is being built, it goes on where it stopped.
    """
    base = locator_of(request).galleries.card(name).version
    if asked.model:
        encoder_card(asked.model, settings_of(request).data_dir)
    await jobs_of(request).sender.reindex(
        name, base, asked.model, str(asked.quantization or ""), asked.pace, asked.most_missing
    )
    return Accepted(gallery=name, base=base)


@router.post(
    "/{name}/activate",
    operation_id="activateVersion",
    summary="Use another version",
    responses=responses(
        InvalidRequest, NotFound, Conflict, CanariesFailed, InvalidOption, Unavailable
    ),
)
async def activate_version(request: Request, name: str, asked: Activation) -> Version:
    """No search fails meanwhile. Where its canaries fail, the version before stays in use."""
    return await activate(request, name, asked.version, allow_missing=asked.allow_missing)


async def activate(
    request: Request, name: str, version: int, *, allow_missing: bool = False
) -> Version:
    """Activate a version and count what became of it."""
    locator = locator_of(request)
    try:
        await locator.prepare(name, version)
        card = await locator.galleries.activate(name, version, allow_missing=allow_missing)
    except CanariesFailed:
        metrics.swapped("rolled-back")
        raise
    except GeofixError:
        metrics.swapped("refused")
        raise
    metrics.swapped("activated")
    return Version.of(card)
