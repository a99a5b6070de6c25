"""What a caller may ask of one locate."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


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
