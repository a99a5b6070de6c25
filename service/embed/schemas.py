"""Photos and positions in, unit vectors out."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from service.problems import Problem

MAX_PHOTOS = 64
MAX_LOCATIONS = 1000

Vector = Annotated[list[FiniteFloat], Field(description="L2-normalised.")]
LatLon = tuple[FiniteFloat, FiniteFloat]


class ImagesRequest(BaseModel):
    """One photo or several, in base64."""

    model_config = ConfigDict(extra="forbid")

    photo: str | None = None
    photos: Annotated[list[str] | None, Field(min_length=1, max_length=MAX_PHOTOS)] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.photo is None) == (self.photos is None):
            raise ValueError("give either 'photo' or 'photos'")
        return self

    def encoded(self) -> list[str]:
        """The photos asked for, still in base64."""
        return [self.photo] if self.photo is not None else self.photos or []


class LocationsRequest(BaseModel):
    """One position or several, as [lat, lon] in WGS84 degrees."""

    model_config = ConfigDict(extra="forbid")

    location: LatLon | None = None
    locations: Annotated[list[LatLon] | None, Field(min_length=1, max_length=MAX_LOCATIONS)] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.location is None) == (self.locations is None):
            raise ValueError("give either 'location' or 'locations'")
        return self

    def latlon(self) -> list[LatLon]:
        """The positions asked for."""
        return [self.location] if self.location is not None else self.locations or []


class ImageEmbedding(BaseModel):
    """What the encoder says of one photo of a batch: a vector, or why there is none."""

    vector: Vector | None
    location: Annotated[
        Vector | None,
        Field(description="The photo in the location encoder's space, from aligned encoders."),
    ] = None
    problem: Problem | None = None


class ImageEmbeddings(BaseModel):
    """One entry for each photo, in the order sent."""

    encoder: str
    embeddings: list[ImageEmbedding]


class LocationEmbeddings(BaseModel):
    """One vector for each position, in the order sent."""

    embeddings: list[Vector]
