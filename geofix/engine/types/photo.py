"""A photo, and what an encoder makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from geofix.engine.types.arrays import Float32Array, UInt8Array


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
class PhotoInfo:
    """What is kept of the photo itself."""

    sha256: str
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an encoder says of a photo."""

    vector: Float32Array
    """float32 [D], L2-normalised: what the gallery is searched with."""
    classes: Float32Array | None = None
    """float32 [C], probabilities of the encoder's class head; sums to 1."""
    location: Float32Array | None = None
    """float32 [512], L2-normalised, in the location encoder's space; from aligned encoders."""
    sha256: str = ""
    """Of the photo's file, in hexadecimal; empty where the encoder does not know the file."""
