"""/v1/galleries: what the service searches."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request

from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.revector import dimension_of, encoder_card
from geofix.errors import (
    Conflict,
    Forbidden,
    InvalidOption,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from service.auth.access import caller_of
from service.auth.caller import Scope
from service.galleries.schemas import (
    GalleryDescription,
    GalleryList,
    GalleryReview,
    GallerySummary,
    NewGallery,
)
from service.problems import responses
from service.running import cache_of, locator_of, settings_of

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])


@router.get(
    "",
    operation_id="listGalleries",
    summary="The galleries",
    responses=responses(Unavailable),
)
async def list_galleries(request: Request) -> GalleryList:
    """Every gallery, by name."""
    galleries = locator_of(request).galleries
    names = galleries.mine(caller_of(request).account)
    opened = [await galleries.open(name) for name in names]
    return GalleryList(galleries=[GallerySummary.of(await gallery.info()) for gallery in opened])


@router.post(
    "",
    operation_id="createGallery",
    summary="Make an empty gallery",
    status_code=201,
    responses=responses(InvalidRequest, Conflict, InvalidOption, Unavailable),
)
async def create_gallery(request: Request, asked: NewGallery) -> GallerySummary:
    """A private one is there for the key that made it alone."""
    locator = locator_of(request)
    if asked.name in locator.galleries.names():
        raise Conflict(f"There is a gallery {asked.name!r} already.")
    card = await asyncio.to_thread(
        encoder_card, asked.encoder or locator.encoder.name, settings_of(request).data_dir
    )
    owner = caller_of(request).account if asked.private else ""
    made = await locator.galleries.create(asked.name, card.name, dimension_of(card), owner=owner)
    return GallerySummary.of(await made.info())


@router.delete(
    "/{name}",
    operation_id="deleteGallery",
    summary="Remove a gallery with all its photos and versions",
    status_code=204,
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def delete_gallery(request: Request, name: str) -> None:
    """Needs the scope admin, unless the gallery is the key's own. Snapshots of it are kept."""
    galleries, caller = locator_of(request).galleries, caller_of(request)
    galleries.require(name, caller.account)
    if not caller.may(Scope.ADMIN) and galleries.card(name).owner != caller.account:
        raise Forbidden("This needs the scope 'admin', unless the gallery is the key's own.")
    await asyncio.shield(galleries.delete(name))
    await cache_of(request).forget()


@router.get(
    "/{name}",
    operation_id="describeGallery",
    summary="What a gallery is and holds",
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def describe_gallery(request: Request, name: str) -> GalleryDescription:
    """Counts by country, source, licence and contributor."""
    return await GalleryDescription.read(await opened(request, name))


@router.get(
    "/{name}/review",
    operation_id="reviewGallery",
    summary="Photos that look wrong: copies, placeholders, impossible positions",
    responses=responses(InvalidRequest, NotFound, InvalidOption, Unavailable),
)
async def review_gallery(
    request: Request,
    name: str,
    since: Annotated[
        str, Query(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$", description="Added since.")
    ] = "",
) -> GalleryReview:
    """Every photo is compared with all others; nothing is changed."""
    gallery = await opened(request, name)
    return GalleryReview.of(await gallery.review(since))


async def opened(request: Request, name: str) -> RecordedGallery:
    """A gallery that the caller may use. Raises NotFound where there is none."""
    galleries = locator_of(request).galleries
    galleries.require(name, caller_of(request).account)
    return await galleries.open(name)
