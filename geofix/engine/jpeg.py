"""Pictures of our own making: encoded anew from pixels, small, without metadata."""

from __future__ import annotations

import io

from PIL import Image

from geofix.engine.types import UInt8Array

_QUALITY = 85


def encode(pixels: UInt8Array, longest_side: int) -> bytes:
    """A JPEG of uint8 [height, width, 3] pixels, scaled down to fit, without metadata."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    picture.save(encoded, format="JPEG", quality=_QUALITY)
    return encoded.getvalue()
