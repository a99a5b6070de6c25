"""Telling a picture from its copies."""

from __future__ import annotations

import numpy as np
from PIL import Image

from geofix.engine.types import Float64Array, UInt8Array

_SIDE = 32
_KEPT = 8
_GAP = 3.0
"""Whole pixels are averaged down to so many times the size first: it takes half the time, and
rarely turns more than two bits."""


def phash(pixels: UInt8Array) -> str:
    """Perceptual hash of a picture uint8 [height, width, 3]: 64 bits in 16 hexadecimal digits.

    The picture, grey and 32 x 32, is taken through a cosine transform; each of the 8 x 8 slowest
    waves gives a bit, whether it is above their median. Resized or recompressed copies differ in
    few bits, unrelated pictures in about half of them.
    """
    picture = Image.fromarray(pixels)
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=_GAP)
    grey = small.convert("L")
    basis = _cosines()
    waves = basis @ np.asarray(grey, dtype=np.float64) @ basis.T
    slow = waves.ravel()
    bits = slow > np.median(slow[1:])  # the first is the brightness, which tells nothing
    return np.packbits(bits).tobytes().hex()


def _cosines() -> Float64Array:
    """The slowest waves of the discrete cosine transform, float64 [8, 32]."""
    step = np.arange(_SIDE) + 0.5
    return np.cos(np.pi / _SIDE * np.outer(np.arange(_KEPT), step))
