"""Galleries and the photos in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from geofix.engine.gallery.offers import Outcome, Status
from geofix.engine.gallery.port import Gallery
from geofix.engine.gallery.review import Finding, Flag
from geofix.engine.types import GalleryInfo, Point
from service.numbers import Number

Text = Annotated[str, Field(max_length=500)]
Counts = Annotated[dict[str, int], Field(description="Photos by value, most frequent first.")]


class NewGallery(BaseModel):
    """What a gallery is to be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=63, description="Of a-z, 0-9, - and _.")]
    encoder: Annotated[str, Field(max_length=200)] = Field(
        "", description="The model whose vectors it holds; the service's by default."
    )
    private: bool = Field(False, description="Whether it is there for this key alone.")


class GallerySummary(BaseModel):
    """What a gallery is."""

    name: str
    version: int
    encoder: str = Field(description="The model whose vectors it holds.")
    dimension: int
    count: int = Field(description="Photos in it.")

    @classmethod
    def of(cls, info: GalleryInfo) -> Self:
        """The summary of an opened gallery."""
        return cls(
            name=info.name,
            version=info.version,
            encoder=info.encoder,
            dimension=info.dimension,
            count=info.count,
        )


class GalleryDescription(GallerySummary):
    """What a gallery is and holds."""

    countries: Counts
    sources: Counts
    licences: Counts
    contributors: Counts

    @classmethod
    async def read(cls, gallery: Gallery) -> Self:
        """The description of an opened gallery."""
        return cls(
            **GallerySummary.of(await gallery.info()).model_dump(),
            countries=await gallery.facet("country"),
            sources=await gallery.facet("source"),
            licences=await gallery.facet("licence"),
            contributors=await gallery.facet("contributor"),
        )


class GalleryList(BaseModel):
    """Every gallery of the service."""

    galleries: list[GallerySummary]


class PhotoFields(BaseModel):
    """What is said of a photo that is added."""

    model_config = ConfigDict(extra="forbid")

    lat: Annotated[Number, Field(ge=-90, le=90, description="WGS84 degrees.")]
    lon: Annotated[Number, Field(ge=-180, le=180, description="WGS84 degrees.")]
    key: Text = Field("", description="Your name of the photo; the file's sha256 by default.")
    country: Annotated[str, Field(pattern="^([A-Z]{2})?$")] = Field(
        "", description="ISO 3166-1 alpha-2; found from the position by default."
    )
    source: Text = ""
    contributor: Text = ""
    licence: Text = Field("", description="SPDX identifier.")
    captured_at: Annotated[str, Field(max_length=40)] = Field(
        "", description="ISO 8601 of any precision."
    )
    uri: Text = ""
    thumbnail: bool | None = Field(
        None,
        description="Whether a small picture of it is kept, without metadata; the service's "
        "setting by default.",
    )


class PhotoOutcome(BaseModel):
    """What became of a photo."""

    key: str
    id: str = Field(description="Of the photo; of the one there already for a duplicate.")
    status: Status
    reason: str = ""
    holder: str = Field("", description="Key of the photo there already, for a duplicate.")
    flag: Flag | None = Field(None, description="What is wrong with a photo that was skipped.")

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """The same, to be sent."""
        return cls(
            key=outcome.key,
            id=outcome.id,
            status=outcome.status,
            reason=outcome.reason,
            holder=outcome.holder,
            flag=outcome.flag,
        )


class HeldPhoto(BaseModel):
    """What a gallery holds of a photo, but for its vectors."""

    id: str
    key: str
    lat: float
    lon: float
    country: str
    source: str
    contributor: str
    licence: str
    captured_at: str
    sha256: str
    uri: str
    added_at: str
    thumbnail: bool = Field(description="Whether a small picture of it is kept.")

    @classmethod
    def of(cls, point: Point, *, thumbnail: bool) -> Self:
        """The same, to be sent."""
        texts = {name: getattr(point, name) for name in cls.model_fields if name != "thumbnail"}
        return cls(**texts, thumbnail=thumbnail)


class ReviewFinding(BaseModel):
    """A photo that looks wrong, and why."""

    id: str
    key: str
    flag: Flag
    reason: str


class GalleryReview(BaseModel):
    """Photos that look wrong; none of them was changed or removed."""

    findings: list[ReviewFinding]

    @classmethod
    def of(cls, found: Sequence[Finding]) -> Self:
        """The same, to be sent."""
        return cls(
            findings=[
                ReviewFinding(id=one.id, key=one.key, flag=one.flag, reason=one.reason)
                for one in found
            ]
        )


class Removed(BaseModel):
    """How many photos were removed."""

    removed: int
