"""The truth about an answer: as it is told, as it is acknowledged, and as it is kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat

from geofix.geo.coordinates import haversine_km
from service.locate.geojson import Probability
from service.locate.schemas import Answer, Kilometres

Latitude = Annotated[FiniteFloat, Field(ge=-90, le=90, description="WGS84 degrees.")]
Longitude = Annotated[FiniteFloat, Field(ge=-180, le=180, description="WGS84 degrees.")]


class Truth(BaseModel):
    """Where the photo of an earlier answer was really taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=100, description="The answer's `id`.")]
    lat: Latitude
    lon: Longitude
    source: Annotated[
        str, Field(max_length=200, description="How it is known: a survey, a person, a GPS log.")
    ] = ""


class Given(BaseModel):
    """What an answer promised: all that is remembered of it, and of the photo its hash alone."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    lat: Latitude
    lon: Longitude
    radius_50_km: Kilometres
    radius_90_km: Kilometres
    within: dict[str, Probability]
    abstained: Annotated[str, Field(description="The cause; empty where it did not abstain.")]
    encoder: str
    galleries: Annotated[dict[str, int], Field(description="Version of each gallery searched.")]
    calibrated: Annotated[str, Field(description="The calibration's set; empty without one.")]

    @classmethod
    def by(cls, answer: Answer) -> Self:
        """What this answer promised."""
        return cls(
            sha256=answer.photo.sha256,
            lat=answer.position.lat,
            lon=answer.position.lon,
            radius_50_km=answer.radius_50_km,
            radius_90_km=answer.radius_90_km,
            within=answer.within,
            abstained=answer.abstention.cause if answer.abstention else "",
            encoder=answer.encoder,
            galleries={gallery.name: gallery.version for gallery in answer.galleries},
            calibrated=answer.calibrated.dataset if answer.calibrated else "",
        )

    def distance_km(self, truth: Truth) -> float:
        """How far the answer was off."""
        return float(haversine_km((self.lat, self.lon), (truth.lat, truth.lon)))


class Recorded(StrEnum):
    """What became of a truth."""

    NEW = "new"
    SAME = "same"
    REPLACED = "replaced"


class Measured(BaseModel):
    """How good the answer was."""

    id: str
    recorded: Annotated[
        Recorded, Field(description="`same`: it was known already; `replaced`: another was.")
    ]
    distance_km: Kilometres
    within_radius_50: bool
    within_radius_90: bool


class Row(BaseModel):
    """One line of the feedback file; of several with one id, the last holds."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    truth: Truth
    answer: Given
    distance_km: Kilometres
