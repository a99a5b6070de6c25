"""The rules by which G3 and GeoCLIP choose, as published, so that ours can be held against them.

No answer is chosen by them unless a caller asks for the rule by name. Positions are (lat, lon)
degrees; a similarity is the cosine of a photo and an encoded position, both in location space.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geofix.engine.location.location_map import Encode
from geofix.engine.types import Float32Array, Float64Array

_G3_NUMBER = re.compile(r"[-+]?\d+\.\d+")
_PROJ_LONGITUDE = float(np.degrees(10.0))


def g3_read(text: str) -> tuple[float, float]:
    """A generation as G3 (NeurIPS 2024) reads it: its first two numbers with a decimal point.

    Anything else becomes (0, 0), which then competes with the other candidates.
    """
    numbers = _G3_NUMBER.findall(text)
    return (float(numbers[0]), float(numbers[1])) if len(numbers) >= 2 else (0.0, 0.0)


def g3_candidates(texts: Sequence[str], first: npt.ArrayLike) -> Float64Array:
    """The rows [n + 1, 2] that G3 chooses from: every generation, then the best neighbour."""
    return np.array([*(g3_read(text) for text in texts), np.ravel(first)], dtype=np.float64)


def projectable(latlon: Float64Array) -> npt.NDArray[np.bool_]:
    """Which positions [n] G3 can project.

    It does so in single precision with PROJ, which has no Web Mercator image of a latitude beyond
    90° nor of a longitude beyond ten radians.
    """
    with np.errstate(over="ignore"):
        single = np.abs(latlon.astype(np.float32)).astype(np.float64)
    return (single[:, 0] <= 90.0) & (single[:, 1] <= _PROJ_LONGITUDE)


def g3_similarities(vector: Float32Array, latlon: Float64Array, encode: Encode) -> Float64Array:
    """Cosines [n] of a photo's location vector [512] with the positions [n, 2].

    It is NaN where G3 has no projection, see ``projectable``; longitudes come round.
    """
    similarity = np.full(len(latlon), np.nan)
    has_one = projectable(latlon)
    if has_one.any():
        points = latlon[has_one].copy()
        beyond = np.abs(points[:, 1]) > 180.0
        points[beyond, 1] = np.mod(points[beyond, 1] + 180.0, 360.0) - 180.0
        points[:, 0] = np.clip(points[:, 0], -90.0, 90.0)  # 90 in single precision
        similarity[has_one] = encode(points) @ vector
    return similarity


def g3(latlon: Float64Array, similarity: Float64Array) -> Float64Array:
    """G3's answer (lat, lon): the argmax over generations and the best neighbour.

    ``numpy.argmax`` takes the first NaN for the greatest value, and so does this; of the winner
    G3 then sets a latitude or longitude that is out of range to 0. Raises ValueError where there
    is no candidate.
    """
    lat, lon = latlon[int(np.argmax(similarity))]
    # Not "unless in range": what is NaN stays so, as there.
    return np.array([0.0 if abs(lat) > 90.0 else lat, 0.0 if abs(lon) > 180.0 else lon])


def g3_clean(latlon: Float64Array, similarity: Float64Array) -> Float64Array:
    """G3's rule after dropping malformed candidates: out of range, not finite, or (0, 0)."""
    legal = well_formed(latlon) & np.isfinite(similarity)
    if not legal.any():
        raise ValueError("no candidate is well-formed")
    return g3(latlon[legal], similarity[legal])


def well_formed(latlon: Float64Array) -> npt.NDArray[np.bool_]:
    """Which candidates [n] are positions: finite, in range, and not (0, 0)."""
    legal = np.isfinite(latlon).all(axis=1) & (latlon != 0.0).any(axis=1)
    in_range = (np.abs(latlon) <= (90.0, 180.0)).all(axis=1)
    kept: npt.NDArray[np.bool_] = legal & in_range
    return kept


def geoclip(latlon: Float64Array, similarity: Float64Array) -> Float64Array:
    """GeoCLIP's answer (NeurIPS 2023): the gallery position that is most like the photo."""
    best: Float64Array = latlon[int(np.argmax(similarity))]
    return best


GEOCLIP_LOGIT_SCALE = 39.69


def geoclip_probabilities(similarity: Float64Array) -> Float64Array:
    """GeoCLIP's "probabilities": a softmax over whatever gallery [G] it was given."""
    logits = GEOCLIP_LOGIT_SCALE * similarity
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Float64Array = odds / odds.sum(axis=-1, keepdims=True)
    return shares
