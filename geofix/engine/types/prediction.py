"""The answer to one locate, and what it is made of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from geofix.engine.types.gallery import GalleryInfo, Neighbour
from geofix.engine.types.options import Rule
from geofix.engine.types.photo import PhotoInfo
from geofix.engine.types.proposal import (
    AttributeClue,
    Candidate,
    Channel,
    Degradation,
    LmmCall,
    TextClue,
)
from geofix.geo.places import Locality

LEVELS_KM: tuple[float, ...] = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""The distances of the field's Acc@k: street, city, region, country, continent."""
GEOSCORE_KM = 1492.7
"""The length scale of GeoScore, 5000·exp(−d / 1492.7 km): that of GeoGuessr's world map, as PIGEON
(CVPR 2024) and OSV-5M use it."""


@dataclass(frozen=True, slots=True)
class Share:
    """The probability of one country, region or city."""

    code: str
    """ISO alpha-2 for countries; empty where there is none."""
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Candidates that agree on a place."""

    lat: float
    lon: float
    probability: float
    """The posterior mass of its kernels, 0 to 1."""
    channels: tuple[Channel, ...]
    candidates: tuple[Candidate, ...]
    country: str = ""
    city: str = ""


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One S2 cell of the heat map."""

    token: str
    probability: float


@dataclass(frozen=True, slots=True)
class Abstention:
    """Why there is no answer worth acting on."""

    cause: str
    """A stable word: ``empty-gallery``, ``no-evidence`` or ``ambiguous``."""
    detail: str
    """A sentence for people."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the probabilities of an answer were fitted on."""

    dataset: str
    photos: int
    date: str
    """ISO 8601 date."""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where a photo was taken, how sure that is, and why."""

    lat: float
    lon: float
    """The point of greatest expected score; given even when abstaining."""
    radius_50_km: float
    radius_90_km: float
    within: Mapping[float, float]
    """Probability that the truth lies within so many km, for each of LEVELS_KM."""
    abstention: Abstention | None
    locality: Locality
    """The answer's place names, reverse-geocoded."""
    continents: tuple[Share, ...]
    countries: tuple[Share, ...]
    regions: tuple[Share, ...]
    cities: tuple[Share, ...]
    clusters: tuple[Cluster, ...]
    heatmap: tuple[HeatCell, ...]
    neighbours: tuple[Neighbour, ...]
    text: tuple[TextClue, ...]
    attributes: tuple[AttributeClue, ...]
    degraded: tuple[Degradation, ...]
    calibration: Calibration | None
    """None: the probabilities are a first estimate, not fitted on labelled photos."""
    encoder: str
    galleries: tuple[GalleryInfo, ...]
    photo: PhotoInfo
    timings_ms: Mapping[str, float]
    """Per stage: decode, enlarge, encode, search, text, attributes, lmm, verify,
    posterior, total.

    Stages that run side by side add up to more than the total.
    """
    calls: tuple[LmmCall, ...] = ()
    """Every call of a language model, its latency, tokens and cost."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Generations that were no candidate, by reason."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Names this answer, to refine it or to say what was true; not to be guessed."""
    cap_km: float | None = None
    """The operator's privacy policy lets nothing finer be told of this photo; None = anything."""
    rule: Rule = Rule.GEOFIX
    """How the position was chosen. The radii and probabilities are the posterior's around it;
    they are calibrated for ``geofix`` alone."""


@dataclass(frozen=True, slots=True)
class StageEvent:
    """A stage of one locate has finished."""

    stage: str
    """decode, enlarge, encode, search, text, attributes, lmm, verify or posterior."""
    ms: float
    detail: Mapping[str, object] = field(default_factory=dict)
    """What the stage found, in JSON's types."""
