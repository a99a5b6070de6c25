"""A gallery, its photos, and what a search finds among them."""

from __future__ import annotations

from dataclasses import dataclass

from geofix.engine.types.arrays import Float32Array


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
class GalleryInfo:
    """What a gallery says of itself; part of every answer."""

    name: str
    version: int
    encoder: str
    """Name of the model whose vectors it holds."""
    dimension: int
    count: int
