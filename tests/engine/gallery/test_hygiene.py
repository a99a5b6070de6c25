"""Copies have nearly the same perceptual hash, other pictures do not."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from geofix.engine.gallery.hygiene import phash
from geofix.engine.types import UInt8Array


def picture(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)


def pixels(image: Image.Image) -> UInt8Array:
    return np.asarray(image, dtype=np.uint8)


def distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_copies_are_near_and_others_far() -> None:
    hashes = [phash(pixels(picture(seed))) for seed in range(30)]
    assert all(len(digest) == 16 for digest in hashes)
    for seed, digest in enumerate(hashes):
        buffer = io.BytesIO()
        picture(seed).resize((320, 240)).save(buffer, "JPEG", quality=40)
        with Image.open(buffer) as copy:
            assert distance(digest, phash(pixels(copy.convert("RGB")))) <= 6
    others = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(others) > 10


def test_a_picture_of_one_colour_has_a_hash() -> None:
    assert len(phash(np.full((50, 70, 3), 9, dtype=np.uint8))) == 16
    assert len(phash(np.zeros((1, 1, 3), dtype=np.uint8))) == 16
