"""Operators' part of /v1/galleries: erasure, snapshots, and indexes made anew."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse

from geofix.engine.gallery import backups, erasing, snapshots
from geofix.errors import (
    Conflict,
    InvalidOption,
    InvalidRequest,
    InvalidSource,
    NotFound,
    Unavailable,
)
from service.problems import responses
from service.running import cache_of, locator_of

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])

_TAR = "application/x-tar"


class Erasure(BaseModel):
    """Whose photos are to be erased."""

    model_config = ConfigDict(extra="forbid")

    contributor: Annotated[str, Field(min_length=1, max_length=500)]


class Receipt(BaseModel):
    """What was erased, where and when. The service keeps none."""

    gallery: str
    contributor: str
    photos: int = Field(description="Of the version in use.")
    thumbnails: int
    labelled: int = Field(description="Photos that served as canaries.")
    versions_removed: list[int] = Field(
        description="Versions out of use, or being built, that held photos of theirs."
    )
    snapshots: list[str] = Field(description="Snapshots that were written anew without them.")
    server: bool = Field(
        description="Whether an index server holds the vectors: its own optimizer frees the bytes."
    )
    erased_at: str


class SnapshotSummary(BaseModel):
    """One snapshot of a gallery."""

    name: str
    bytes: int


class SnapshotList(BaseModel):
    """A gallery's snapshots, oldest first."""

    snapshots: list[SnapshotSummary]


class Restoration(BaseModel):
    """Which snapshot takes the gallery's place."""

    model_config = ConfigDict(extra="forbid")

    snapshot: Annotated[str, Field(min_length=1, max_length=80)]
    replace: bool = Field(False, description="Whether a gallery that is there gives way.")


class Held(BaseModel):
    """What a gallery holds now."""

    gallery: str
    count: int


@router.post(
    "/{name}/erase",
    operation_id="eraseContributor",
    summary="Erase a contributor, from versions and snapshots too",
    responses=responses(InvalidRequest, NotFound, InvalidOption, Unavailable),
)
async def erase_contributor(request: Request, name: str, asked: Erasure) -> Receipt:
    """When this answers, no file of the gallery holds a byte of theirs."""
    galleries = locator_of(request).galleries
    done = await asyncio.shield(erasing.erase(galleries, name, asked.contributor))
    await cache_of(request).forget()
    return Receipt.model_validate(asdict(done))


@router.post(
    "/{name}/snapshots",
    operation_id="takeSnapshot",
    summary="Take a snapshot",
    status_code=201,
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def take_snapshot(request: Request, name: str) -> SnapshotSummary:
    """Photos that are added or removed wait until it is written."""
    file = await backups.snapshot(locator_of(request).galleries, name)
    return SnapshotSummary(name=file.stem, bytes=file.stat().st_size)


@router.get(
    "/{name}/snapshots",
    operation_id="listSnapshots",
    summary="A gallery's snapshots",
    responses=responses(InvalidOption, Unavailable),
)
async def list_snapshots(request: Request, name: str) -> SnapshotList:
    """Also of a gallery that is there no longer."""
    folder = backups.folder(locator_of(request).galleries, name)
    found = await asyncio.to_thread(snapshots.listed, folder)
    return SnapshotList(snapshots=[SnapshotSummary(name=s.name, bytes=s.bytes) for s in found])


@router.get(
    "/{name}/snapshots/{snapshot}",
    operation_id="fetchSnapshot",
    summary="A snapshot's file",
    response_class=FileResponse,
    responses={
        200: {"content": {_TAR: {"schema": {"type": "string", "format": "binary"}}}},
        **responses(NotFound, InvalidOption, Unavailable),
    },
)
async def fetch_snapshot(request: Request, name: str, snapshot: str) -> FileResponse:
    """A tar of the manifest, the cards and the thumbnails."""
    folder = backups.folder(locator_of(request).galleries, name)
    file = snapshots.path_of(folder, snapshot)
    return FileResponse(file, media_type=_TAR, filename=f"{name}-{file.name}")


@router.delete(
    "/{name}/snapshots/{snapshot}",
    operation_id="removeSnapshot",
    summary="Remove a snapshot",
    status_code=204,
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def remove_snapshot(request: Request, name: str, snapshot: str) -> None:
    """It is gone from the disk when this answers."""
    folder = backups.folder(locator_of(request).galleries, name)
    await asyncio.to_thread(snapshots.path_of(folder, snapshot).unlink)


@router.post(
    "/{name}/restore",
    operation_id="restoreGallery",
    summary="Make a gallery from one of its snapshots",
    responses=responses(
        InvalidRequest, NotFound, Conflict, InvalidOption, InvalidSource, Unavailable
    ),
)
async def restore_gallery(request: Request, name: str, asked: Restoration) -> Held:
    """It is as it was; its index is built from the manifest."""
    galleries = locator_of(request).galleries
    file = snapshots.path_of(backups.folder(galleries, name), asked.snapshot)
    await asyncio.shield(backups.restore(galleries, file, replace=asked.replace))
    await cache_of(request).forget()
    return Held(gallery=name, count=await (await galleries.open(name)).count())


@router.post(
    "/{name}/rebuild",
    operation_id="rebuildGallery",
    summary="Make the index anew from the manifest and the log",
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def rebuild_gallery(request: Request, name: str) -> Held:
    """Searches go on meanwhile, unless the index was damaged."""
    count = await asyncio.shield(backups.rebuild(locator_of(request).galleries, name))
    return Held(gallery=name, count=count)
