"""Pictures as they are sent: encoded anew from pixels, small, without metadata."""

from __future__ import annotations

import base64
import io

from PIL import Image

from geofix.engine.types import UInt8Array

_QUALITY = 85


def jpeg(pixels: UInt8Array, longest_side: int) -> bytes:
    """A JPEG of uint8 [height, width, 3] pixels, scaled down to fit, without metadata."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    picture.save(encoded, format="JPEG", quality=_QUALITY)
    return encoded.getvalue()


def data_url(encoded: bytes) -> str:
    """A JPEG as the URL that a chat message takes."""
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")


def tokens(longest_side: int) -> int:
    """An upper estimate of what a picture counts for: vendors bill by area, from a floor upward."""
    return max(longest_side * longest_side // 500, 256)
