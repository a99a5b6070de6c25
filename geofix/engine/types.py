"""What the stages of one locate hand to each other.

Small frozen dataclasses; arrays are NumPy. Positions are WGS84 degrees, distances km, times ms.
Every float in them is finite: a stage that cannot promise that drops the value instead.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from geofix.geo.places import Locality

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]

LEVELS_KM: tuple[float, ...] = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""The distances of the field's Acc@k: street, city, region, country, continent."""
GEOSCORE_KM = 1492.7
"""The length scale of GeoScore, 5000·exp(−d / 1492.7 km): that of GeoGuessr's world map, as PIGEON
(CVPR 2024) and OSV-5M use it."""


class Channel(StrEnum):
    """Where a candidate comes from."""

    RETRIEVAL = "retrieval"
    TEXT = "text"
    ATTRIBUTES = "attributes"
    LMM = "lmm"


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: upright, RGB, without metadata."""

    pixels: UInt8Array
    """uint8 [height, width, 3], scaled down to what the readers of the photo need."""
    sha256: str
    """Of the bytes as they came."""
    width: int
    """Of the upright original, in pixels."""
    height: int
    format: str
    """``JPEG``, ``PNG``, ``WEBP`` or ``HEIF``."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an encoder says of a photo."""

    vector: Float32Array
    """float32 [D], L2-normalised: what the gallery is searched with."""
    classes: Float32Array | None = None
    """float32 [C], probabilities of the encoder's class head; sums to 1."""
    location: Float32Array | None = None
    """float32 [512], L2-normalised, in the location encoder's space; from aligned encoders."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which gallery points, and which places on Earth, an answer may use. All parts must hold."""

    countries: tuple[str, ...] = ()
    """ISO 3166-1 alpha-2, upper case; any of them."""
    bbox: tuple[float, float, float, float] | None = None
    """west, south, east, north in degrees; west > east crosses ±180°."""
    polygon: tuple[tuple[float, float], ...] = ()
    """(lat, lon) corners, not closed; edges are the shorter way round and may cross ±180°."""
    circle: tuple[float, float, float] | None = None
    """lat, lon, radius in km."""
    sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    captured_from: str | None = None
    """ISO 8601, inclusive."""
    captured_to: str | None = None
    exclude_ids: tuple[str, ...] = ()
    exclude_contributors: tuple[str, ...] = ()

    @property
    def restricts_place(self) -> bool:
        """Whether the filter says something of where on Earth the answer may lie."""
        return bool(self.countries) or self.draws_area

    @property
    def area(self) -> Filter:
        """Only the box, polygon and circle of this filter."""
        return Filter(bbox=self.bbox, polygon=self.polygon, circle=self.circle)

    @property
    def draws_area(self) -> bool:
        """Whether a box, polygon or circle is given."""
        return bool(self.bbox or self.polygon or self.circle)


@dataclass(frozen=True, slots=True)
class Point:
    """One photo of a gallery."""

    id: str
    """UUIDv5 of gallery and source key."""
    key: str
    """The source's own name of the photo, unique in the gallery."""
    lat: float
    lon: float
    image: Float32Array
    """float32 [D], L2-normalised."""
    gps: Float32Array | None = None
    """float32 [512], L2-normalised: the encoded coordinate, stored so it is never re-encoded."""
    country: str = ""
    source: str = ""
    contributor: str = ""
    licence: str = ""
    captured_at: str = ""
    """ISO 8601 or empty."""
    sha256: str = ""
    phash: str = ""
    uri: str = ""
    added_at: str = ""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A gallery photo that looks like the query."""

    id: str
    gallery: str
    lat: float
    lon: float
    similarity: float
    """Cosine, -1 to 1."""
    country: str = ""
    source: str = ""
    contributor: str = ""
    licence: str = ""
    captured_at: str = ""
    uri: str = ""
    gps: Float32Array | None = None
    """float32 [512] as stored, or None."""
    thumbnail: bool = False
    """Whether the gallery keeps a small picture of it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One proposed position."""

    lat: float
    lon: float
    channel: Channel
    score: float
    """The channel's own confidence, 0 to 1 (retrieval: cosine similarity)."""
    width_km: float
    """The channel's typical error when it is right: the scale of the candidate's kernel."""
    source: str
    """Which neighbour id, reading or generation proposed it."""
    name: str = ""
    """Place name, where the channel knows one."""
    gps: Float32Array | None = None
    """float32 [512]: the encoded coordinate, where it is stored already."""


@dataclass(frozen=True, slots=True)
class TextClue:
    """A piece of text read in the photo and what it says of the place."""

    text: str
    confidence: float
    box: tuple[tuple[float, float], ...]
    """Corners (x, y) as shares of width and height, clockwise from top left."""
    script: str
    """ISO 15924, for example ``Latn``."""
    language: str = ""
    """ISO 639-1 or empty when it cannot be told."""
    places: tuple[str, ...] = ()
    rejected: str = ""
    """Why the reading was not used; empty when it was."""


@dataclass(frozen=True, slots=True)
class AttributeClue:
    """Something the picture shows that the map knows about."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class LmmCall:
    """One call of a language model, or the reason why it was not made."""

    model: str
    prompt: str
    """Name of the prompt in the ensemble."""
    outcome: str
    """A stable word: ``ok``, ``cached``, ``timeout``, ``unreachable``, ``rate-limited``,
    ``server-error``, ``unauthorized``, ``not-found``, ``bad-request``, ``garbage``,
    ``circuit-open``, ``over-budget`` or ``cancelled``."""
    generations: int = 0
    """How many answers came back."""
    latency_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    """From the configured prices; 0 where there are none."""
    estimated: bool = False
    """Tokens and cost are an upper bound of ours: the server did not tell."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one generator adds to the answer."""

    channel: Channel
    candidates: tuple[Candidate, ...] = ()
    countries: Mapping[str, float] = field(default_factory=dict)
    """Natural-log likelihood ratio by ISO alpha-2; countries not named have 0."""
    cells: Float32Array | None = None
    """float32 [N], natural-log likelihood ratio over the cells of ``geofix.geo.priors.earth()``."""
    text: tuple[TextClue, ...] = ()
    attributes: tuple[AttributeClue, ...] = ()
    calls: tuple[LmmCall, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    """How many generations were no candidate, by reason."""
    read_as_g3: tuple[tuple[float, float], ...] = ()
    """What ``published.g3_read`` finds in each generation, in the order in which G3 compares."""
    degraded: tuple[Degradation, ...] = ()
    """Why the proposal holds less than was asked for; empty when nothing is missing."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a generator may look at."""

    photo: Photo
    embedding: Embedding
    neighbours: tuple[Neighbour, ...]
    filter: Filter
    dissimilar: tuple[Neighbour, ...] = ()
    """Gallery photos that look least like the query, the least similar first."""
    account: str = ""
    """Whose budget pays for paid calls; never leaves the process."""
    deadline: float = math.inf
    """When the answer's own budget ends, on the clock of ``time.monotonic``."""

    def left_s(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(self.deadline - time.monotonic(), 0.0)


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery says of itself; part of every answer."""

    name: str
    version: int
    encoder: str
    """Name of the model whose vectors it holds."""
    dimension: int
    count: int


class Rule(StrEnum):
    """How the position is chosen."""

    GEOFIX = "geofix"
    """The point of greatest expected score of the whole posterior."""
    G3 = "g3"
    """G3's argmax over its generations and the best neighbour, faults included."""
    G3_CLEAN = "g3-clean"
    """The same without malformed candidates."""
    GEOCLIP = "geoclip"
    """The gallery position most like the photo in location space."""

    @property
    def asks_every_time(self) -> bool:
        """Whether the rule asks the language model for every photo, as G3 does."""
        return self in (Rule.G3, Rule.G3_CLEAN)


class Lane(StrEnum):
    """Who waits for an answer: a person, or a batch job that yields to persons."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class LocateOptions:
    """What a caller may ask of one locate."""

    galleries: tuple[str, ...] = ()
    """Names of the galleries searched together; empty = the configured one."""
    neighbours: int = 50
    generators: tuple[str, ...] = ("auto",)
    """``auto``, ``none`` or any of ``text``, ``attributes``, ``lmm``."""
    filter: Filter = field(default_factory=Filter)
    heatmap: bool = True
    candidates: int = 10
    """How many clusters of candidates the answer lists."""
    rule: Rule = Rule.GEOFIX
    lane: Lane = Lane.INTERACTIVE
    account: str = ""
    """Whose quota and budget pay; never leaves the process."""
    keep: bool = False
    """Keep vectors and proposals for a while, so that ``refine`` can answer without the photo."""
    budget_s: float | None = None
    """Wall-clock seconds after which generators are no longer waited for; None = the setting."""


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
class Degradation:
    """A channel that should have helped and could not."""

    channel: str
    cause: str
    """A stable word: ``timeout``, ``failed``, ``unavailable``, ``over-budget``,
    ``photo-not-kept``."""


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
    """Per stage: decode, enlarge, encode, search, text, attributes, lmm, posterior, total.

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
class PhotoInfo:
    """What is kept of the photo itself."""

    sha256: str
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class StageEvent:
    """A stage of one locate has finished."""

    stage: str
    """decode, enlarge, encode, search, text, attributes, lmm or posterior."""
    ms: float
    detail: Mapping[str, object] = field(default_factory=dict)
    """What the stage found, in JSON's types."""
