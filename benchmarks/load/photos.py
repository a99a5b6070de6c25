"""The photos that are sent."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIZES = {"800×600": (800, 600), "12 MP": (4000, 3000)}


def photo(size: tuple[int, int], seed: int) -> bytes:
    """A JPEG with structure at every scale, as photos have."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 255, (n, n, 3), dtype=np.uint8)).resize(size)
        for n in (4, 16, 64, 256)
    ]
    mixed = np.mean([np.asarray(layer) for layer in layers], axis=0).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(mixed).save(stream, "JPEG", quality=88)
    return stream.getvalue()
