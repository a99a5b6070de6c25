"""The photos that are sent."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

SIZES = {"800×600": (800, 600), "12 MP": (4000, 3000)}
_SCENES, _SCENE, _CUT = 20, (2400, 1800), (1600, 1200)


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


def photos(count: int) -> Iterator[bytes]:
    """Different JPEGs of 2 megapixels and about 600 kB: cuts of twenty scenes, tinted."""
    scenes = [Image.open(io.BytesIO(photo(_SCENE, seed))).convert("RGB") for seed in range(_SCENES)]
    rng = np.random.default_rng(1)
    for number in range(count):
        left, top = (int(rng.integers(a - b)) for a, b in zip(_SCENE, _CUT, strict=True))
        cut = scenes[number % _SCENES].crop((left, top, left + _CUT[0], top + _CUT[1]))
        tint = Image.new("RGB", _CUT, tuple(rng.integers(0, 255, 3).tolist()))
        stream = io.BytesIO()
        Image.blend(cut, tint, 0.3).save(stream, "JPEG", quality=88)
        yield stream.getvalue()
