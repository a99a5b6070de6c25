"""What a caller may ask of one locate, as it stands in a query string, a form or JSON.

In strings, several values are separated by commas (``country=FR,DE``), the corners of a polygon by
semicolons (``polygon=48.8,2.2;48.9,2.2;48.9,2.4``). In JSON they are arrays.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from geofix.engine.types import Filter, LocateOptions, Rule
from geofix.errors import InvalidCoordinate, InvalidOption
from geofix.geo.places import country_name
from geofix.geo.shapes import polygon_contains
from service.numbers import Number, Whole
from service.refusals import refusal

_HALF_ROUND_KM = 20_038.0
_GENERATORS = ("auto", "none", "text", "attributes", "lmm")


def _split(value: object, separator: str = ",") -> object:
    """Strings become tuples of their parts, arrays tuples of their items."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(separator) if part.strip())
    return tuple(value) if isinstance(value, list) else value


def _corners(value: object) -> object:
    parts = _split(value, ";")
    return tuple(_split(part) for part in parts) if isinstance(parts, tuple) else parts


def _place(lat: float, lon: float) -> None:
    if not -90.0 <= lat <= 90.0:
        raise InvalidCoordinate(f"Latitude {lat:g} lies outside -90 to 90 degrees.")
    if not -180.0 <= lon <= 180.0:
        raise InvalidCoordinate(f"Longitude {lon:g} lies outside -180 to 180 degrees.")


def _box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    west, south, east, north = box
    _place(south, west)
    _place(north, east)
    if south >= north or west == east:
        raise ValueError("the order is west, south, east, north, with south below north")
    return box


def _polygon(corners: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    for lat, lon in corners:
        _place(lat, lon)
    if corners:
        polygon_contains(corners, np.empty((0, 2)))  # refuses crossing edges, too few corners
    return corners


def _circle(circle: tuple[float, float, float]) -> tuple[float, float, float]:
    lat, lon, km = circle
    _place(lat, lon)
    if not 0.0 < km <= _HALF_ROUND_KM:
        raise ValueError(f"the radius is in km, above 0 and up to {_HALF_ROUND_KM:g}")
    return circle


def _countries(codes: tuple[str, ...]) -> tuple[str, ...]:
    upper = tuple(code.upper() for code in codes)
    for code in upper:
        if not country_name(code):
            raise ValueError(f"{code!r} is not an ISO 3166-1 alpha-2 code such as FR")
    return upper


def _generators(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in _GENERATORS:
            raise ValueError(f"{name!r} is not one of {', '.join(_GENERATORS)}")
    if len(names) > 1 and {"auto", "none"} & set(names):
        raise ValueError("'auto' and 'none' stand alone")
    return names


def _ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(uuid.UUID(value)) for value in ids)
    except ValueError:
        raise ValueError("these are UUIDs, as evidence.neighbours names them") from None


Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    Field(max_length=1000),
    BeforeValidator(_split),
]


class Refinement(BaseModel):
    """Options of one more answer for the same photo; every one of them may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: Annotated[
        Names, Field(description="Galleries searched together; none = the service's own.")
    ] = ()
    neighbours: Annotated[
        Whole | None,
        Field(ge=1, le=200, description="Photos retrieved; none = the service's setting."),
    ] = None
    generators: Annotated[
        Names,
        AfterValidator(_generators),
        Field(min_length=1, description="auto, none, or any of text, attributes and lmm."),
    ] = ("auto",)
    country: Annotated[
        Names,
        AfterValidator(_countries),
        Field(description="ISO 3166-1 alpha-2 codes; the answer lies in one of them."),
    ] = ()
    bbox: Annotated[
        tuple[Number, Number, Number, Number] | None,
        BeforeValidator(_split),
        AfterValidator(lambda box: box and _box(box)),
        Field(description="west, south, east, north in degrees; west above east crosses ±180°."),
    ] = None
    polygon: Annotated[
        tuple[tuple[Number, Number], ...],
        BeforeValidator(_corners),
        AfterValidator(_polygon),
        Field(max_length=500, description="Corners as lat, lon; edges take the shorter way."),
    ] = ()
    radius: Annotated[
        tuple[Number, Number, Number] | None,
        BeforeValidator(_split),
        AfterValidator(lambda circle: circle and _circle(circle)),
        Field(description="lat, lon, km: the answer lies in this circle."),
    ] = None
    exclude: Annotated[
        Names,
        AfterValidator(_ids),
        Field(description="Ids of gallery photos that must not be used."),
    ] = ()
    exclude_contributor: Annotated[
        Names, Field(description="Contributors whose photos must not be used.")
    ] = ()
    budget_s: Annotated[
        Number | None,
        Field(
            gt=0,
            le=600,
            description="Seconds after which generators are no longer waited for; none = the "
            "service's setting.",
        ),
    ] = None
    rule: Annotated[
        Rule,
        Field(
            description="How the position is chosen: geofix, or as G3 (g3; g3-clean without "
            "malformed candidates) or GeoCLIP (geoclip) published it, for comparison. Only "
            "geofix's radii and probabilities are calibrated."
        ),
    ] = Rule.GEOFIX
    heatmap: Annotated[bool, Field(description="Whether the answer carries the heat map.")] = True
    candidates: Annotated[
        Whole, Field(ge=1, le=100, description="How many clusters of candidates are listed.")
    ] = 10

    def strings(self) -> dict[str, str]:
        """The options that were given, as ``from_strings`` reads them."""
        return {name: _string(getattr(self, name)) for name in sorted(self.model_fields_set)}

    def engine(self, *, neighbours: int) -> LocateOptions:
        """The engine's own form; ``neighbours`` is the default where the caller gave none."""
        return LocateOptions(
            galleries=self.gallery,
            neighbours=self.neighbours or neighbours,
            generators=self.generators,
            filter=Filter(
                countries=self.country,
                bbox=self.bbox,
                polygon=self.polygon,
                circle=self.radius,
                exclude_ids=self.exclude,
                exclude_contributors=self.exclude_contributor,
            ),
            rule=self.rule,
            heatmap=self.heatmap,
            candidates=self.candidates,
            budget_s=self.budget_s,
        )


class Options(Refinement):
    """Options of one locate; every one of them may be left out."""

    keep: Annotated[
        bool,
        Field(description="Keep vectors and candidates, never the photo, to refine the answer."),
    ] = False

    def engine(self, *, neighbours: int) -> LocateOptions:
        """The engine's own form; ``neighbours`` is the default where the caller gave none."""
        return replace(super().engine(neighbours=neighbours), keep=self.keep)


def _string(value: object) -> str:
    if isinstance(value, tuple):
        nested = any(isinstance(item, tuple) for item in value)
        return (";" if nested else ",").join(_string(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


_SEVERAL = frozenset({"gallery", "generators", "country", "exclude", "exclude_contributor"})


def from_strings(pairs: Sequence[tuple[str, str]]) -> Options:
    """Options from a query string, a form or a command line.

    Raises InvalidOption or InvalidCoordinate, naming the option and what to do.
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values and name not in _SEVERAL:
            raise InvalidOption(f"{name} is given twice. Give it once.")
        values[name] = f"{values[name]},{value}" if name in values else value
    try:
        return Options.model_validate_strings(values)
    except ValidationError as error:
        raise refusal(error, known=Options.model_fields) from error


def query_parameters() -> list[Mapping[str, object]]:
    """The options as OpenAPI query parameters, all of them strings as they stand in a URL."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.description,
            "schema": {"type": "string"},
        }
        for name, field in Options.model_fields.items()
    ]
