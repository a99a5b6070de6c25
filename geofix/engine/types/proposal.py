"""What a generator is asked, and what it proposes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from geofix.engine.types.arrays import Float32Array
from geofix.engine.types.gallery import Neighbour
from geofix.engine.types.options import Filter
from geofix.engine.types.photo import Embedding, Photo


class Channel(StrEnum):
    """Where a candidate comes from."""

    RETRIEVAL = "retrieval"
    TEXT = "text"
    ATTRIBUTES = "attributes"
    LMM = "lmm"


@dataclass(frozen=True, slots=True)
class Degradation:
    """A channel that should have helped and could not."""

    channel: str
    cause: str
    """A stable word: ``timeout``, ``failed``, ``unavailable``, ``over-budget``,
    ``photo-not-kept``."""


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
