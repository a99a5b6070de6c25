"""The body of a locate request, and the answer: one JSON for HTTP, the CLI and the map."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from geofix.engine import types
from geofix.engine.types import Prediction
from service.locate.geojson import FeatureCollection, Probability, feature_collection
from service.locate.options import Options

Kilometres = Annotated[FiniteFloat, Field(ge=0.0)]


class LocateRequest(BaseModel):
    """A photo in JSON."""

    model_config = ConfigDict(extra="forbid")

    photo: Annotated[str, Field(description="The photo's file in base64 (RFC 4648 §4).")]
    options: Options = Options()


class Stage(BaseModel):
    """The data of a ``stage`` event: one stage of a locate has finished."""

    stage: str
    ms: FiniteFloat
    detail: dict[str, JsonValue]

    @classmethod
    def of(cls, event: types.StageEvent) -> Self:
        """The stage as it is sent."""
        return cls.model_validate(
            {"stage": event.stage, "ms": round(event.ms, 2), "detail": dict(event.detail)}
        )


class _Part(BaseModel):
    """A part of the answer; most are read from the engine's dataclass of the same shape."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Position(_Part):
    """WGS84 degrees."""

    lat: Annotated[FiniteFloat, Field(ge=-90, le=90)]
    lon: Annotated[FiniteFloat, Field(ge=-180, le=180)]


class Place(_Part):
    """The names of the position."""

    country: Annotated[str, Field(description="ISO 3166-1 alpha-2; empty on the open sea.")]
    country_name: str
    region: str
    region_approximate: Annotated[
        bool, Field(description="Whether the region is that of the nearest places.")
    ]
    city: str
    city_km: Kilometres | None


class Abstention(_Part):
    """Why there is no answer worth acting on."""

    cause: str
    detail: str


class Share(_Part):
    """The probability of one country, region or city."""

    code: str
    name: str
    probability: Probability


class Candidate(_Part):
    """One proposed position."""

    lat: FiniteFloat
    lon: FiniteFloat
    channel: types.Channel
    score: FiniteFloat
    width_km: Kilometres
    source: str
    name: str


class Cluster(_Part):
    """Candidates that agree on a place."""

    lat: FiniteFloat
    lon: FiniteFloat
    probability: Probability
    channels: tuple[types.Channel, ...]
    country: str
    city: str
    candidates: tuple[Candidate, ...]


class Neighbour(_Part):
    """A gallery photo that looks like the query."""

    id: str
    gallery: str
    lat: FiniteFloat
    lon: FiniteFloat
    similarity: FiniteFloat
    country: str
    source: str
    contributor: str
    licence: str
    captured_at: str
    uri: Annotated[str, Field(description="A web address, or the file's bare name.")]
    thumbnail: Annotated[bool, Field(description="Whether the gallery keeps a small picture.")]


class Text(_Part):
    """A piece of text read in the photo and what it says of the place."""

    text: str
    confidence: Probability
    box: Annotated[
        tuple[tuple[FiniteFloat, FiniteFloat], ...],
        Field(description="Corners (x, y) as shares of width and height."),
    ]
    script: str
    language: str
    places: tuple[str, ...]
    rejected: Annotated[str, Field(description="Why the reading was not used; else empty.")]


class Attribute(_Part):
    """Something the picture shows that the map knows about."""

    name: str
    probability: Probability


class Evidence(_Part):
    """What the answer rests on."""

    neighbours: tuple[Neighbour, ...]
    text: tuple[Text, ...]
    attributes: tuple[Attribute, ...]


class Call(_Part):
    """One call of a language model, or the reason why it was not made."""

    model: str
    prompt: Annotated[str, Field(description="Name of the prompt in the ensemble.")]
    outcome: Annotated[
        str,
        Field(
            description="ok, cached, timeout, unreachable, rate-limited, server-error, "
            "unauthorized, not-found, bad-request, garbage, circuit-open, over-budget or "
            "cancelled."
        ),
    ]
    generations: int
    latency_ms: Annotated[FiniteFloat, Field(ge=0)]
    tokens_in: int
    tokens_out: int
    cost_usd: Annotated[
        FiniteFloat, Field(ge=0, description="From the configured prices; 0 without any.")
    ]
    estimated: Annotated[
        bool, Field(description="Tokens and cost are an upper bound: the server did not tell.")
    ]


class Degradation(_Part):
    """A channel that should have helped and could not."""

    channel: str
    cause: str


class Calibration(_Part):
    """What the probabilities were fitted on."""

    dataset: str
    photos: int
    date: str
    simulated: bool


class GalleryVersion(_Part):
    """A gallery that was searched."""

    name: str
    version: int
    encoder: str
    dimension: int
    count: int


class PhotoInfo(_Part):
    """What is kept of the photo itself."""

    sha256: str
    width: int
    height: int
    format: str


class Answer(BaseModel):
    """Where a photo was taken, how sure that is, and why."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, Field(description="Names this answer, to refine it or to tell the truth.")]
    position: Annotated[
        Position, Field(description="The point of greatest expected score; given in any case.")
    ]
    radius_50_km: Kilometres
    radius_90_km: Kilometres
    within: Annotated[
        dict[str, Probability],
        Field(description="Probability that the truth lies within so many km."),
    ]
    abstention: Annotated[
        Abstention | None, Field(description="Set when the answer is not worth acting on.")
    ]
    place: Place
    continents: tuple[Share, ...]
    countries: tuple[Share, ...]
    regions: tuple[Share, ...]
    cities: tuple[Share, ...]
    clusters: tuple[Cluster, ...]
    heatmap: FeatureCollection | None
    evidence: Evidence
    degraded: tuple[Degradation, ...]
    calibrated: Annotated[
        Literal[False] | Calibration,
        Field(description="False: the probabilities are a first estimate."),
    ]
    rule: Annotated[types.Rule, Field(description="How the position was chosen.")]
    encoder: str
    galleries: tuple[GalleryVersion, ...]
    photo: PhotoInfo
    timings_ms: dict[str, Kilometres]
    calls: Annotated[
        tuple[Call, ...],
        Field(description="Every call of a language model for this answer, and what it cost."),
    ] = ()
    rejected: Annotated[
        dict[str, int],
        Field(description="Generations of the language model that were no candidate, by cause."),
    ] = {}

    @classmethod
    def of(cls, prediction: Prediction) -> Self:
        """The answer of one prediction."""
        p = prediction
        return cls(
            id=p.id,
            position=Position(lat=p.lat, lon=p.lon),
            radius_50_km=p.radius_50_km,
            radius_90_km=p.radius_90_km,
            within={f"{km:g}": probability for km, probability in p.within.items()},
            abstention=Abstention.model_validate(p.abstention) if p.abstention else None,
            place=Place.model_validate(p.locality),
            continents=_each(Share, p.continents),
            countries=_each(Share, p.countries),
            regions=_each(Share, p.regions),
            cities=_each(Share, p.cities),
            clusters=_each(Cluster, p.clusters),
            heatmap=feature_collection(p.heatmap) if p.heatmap else None,
            evidence=Evidence(
                neighbours=tuple(_neighbour(neighbour) for neighbour in p.neighbours),
                text=_each(Text, p.text),
                attributes=_each(Attribute, p.attributes),
            ),
            degraded=_each(Degradation, p.degraded),
            calibrated=Calibration.model_validate(p.calibration) if p.calibration else False,
            rule=p.rule,
            encoder=p.encoder,
            galleries=_each(GalleryVersion, p.galleries),
            photo=PhotoInfo.model_validate(p.photo),
            timings_ms={stage: round(ms, 2) for stage, ms in p.timings_ms.items()},
            calls=_each(Call, p.calls),
            rejected=dict(p.rejected),
        )


_P = TypeVar("_P", bound=_Part)


def _each(part: type[_P], values: tuple[object, ...]) -> tuple[_P, ...]:
    return tuple(part.model_validate(value) for value in values)


def _neighbour(neighbour: types.Neighbour) -> Neighbour:
    part = Neighbour.model_validate(neighbour)
    return part.model_copy(update={"uri": public_uri(neighbour.uri)})


def public_uri(uri: str) -> str:
    """A web address as it is; of a path or file address only the name, never the folder."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    if parts.scheme in {"http", "https"}:
        return uri
    return PurePosixPath(unquote(parts.path).replace("\\", "/")).name
