"""What the page asks for besides the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, FiniteFloat


class PageSettings(BaseModel):
    """What the page must know of the service."""

    version: str
    max_body_bytes: int
    keep_s: float
    tiles: Annotated[str, Field(description="Address of the operator's map tiles, or empty.")]
    tiles_attribution: str


class Label(BaseModel):
    """A place's name on the map."""

    name: str
    lat: FiniteFloat
    lon: FiniteFloat
    population: int


class Labels(BaseModel):
    """The largest places of a part of the map."""

    places: list[Label]
