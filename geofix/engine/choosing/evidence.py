"""What speaks for each candidate, as numbers: its likeness to the photo and who agrees with it.

Every function is pure and vectorised. Positions are (lat, lon) degrees, distances km; location
vectors are those of the location encoder, of length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geofix.engine.location.location_map import STEP
from geofix.engine.types import Float32Array, Float64Array
from geofix.geo.coordinates import apart_km, to_unit

FEATURES = (
    "similarity",
    "similarity_sure",
    "csls_sure",
    "faded",
    "faded_sure",
    "rank",
    "support_25",
    "support_200",
    "support_1000",
    "votes_5",
    "votes_25",
    "votes_200",
    "map",
    "map_sure",
)
"""Of each candidate, more always speaking for it. Those called sure count as far as the photo's
best similarity is high: a photo that fits no place well cannot tell neighbouring places apart."""
CONTEXT = (
    "sureness",
    "concentration_25",
    "concentration_200",
    "agreement",
    "map_peak",
    "best_faded",
)
"""Of the photo: how well its best candidates stand."""

CSLS_NEIGHBOURS = 10
_SUPPORT_KM = (25.0, 200.0, 1000.0)
_VOTES_KM = (5.0, 25.0, 200.0)
_TEMPERATURE = 0.01
"""Cosine difference that makes a neighbour's support e times heavier."""
_FAR = -20.0
_NO_SUPPORT = 1e-3
_RAREST = -15.0
_PEAK = 12.0
_BRIGHT = 0.2
_UNSURE, _SURE = 0.1, 0.5
"""Best cosines at which a photo counts as fitting no place, and one place well."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The scorer's input for one photo."""

    features: Float64Array
    """[n, len(FEATURES)]."""
    context: Float64Array
    """[len(CONTEXT)]."""


def similarities(vector: Float32Array, gps: Float32Array) -> Float64Array:
    """Cosines [n] of a photo's location vector [512] with encoded positions [n, 512]."""
    cosine: Float64Array = (gps @ vector).astype(np.float64)
    return cosine


def csls(
    similarity: Float64Array, gps: Float32Array, reference: Float32Array, k: int = CSLS_NEIGHBOURS
) -> Float64Array:
    """Similarities [n] corrected for hubness (CSLS; Conneau et al., ICLR 2018), up to a constant.

    A position that is like everything is no evidence: from twice its cosine is taken its mean
    cosine with the ``k`` reference vectors [m, 512] most like it. The photo's own such mean is
    the same for all its candidates and left out.
    """
    if len(reference) == 0 or len(gps) == 0:
        return 2.0 * similarity
    likeness = (gps @ reference.T).astype(np.float64)
    k = min(k, likeness.shape[1])
    hubness = np.partition(likeness, -k, axis=1)[:, -k:].mean(axis=1)
    corrected: Float64Array = 2.0 * similarity - hubness
    return corrected


def gather(
    latlon: Float64Array,
    retrieved: BoolArray,
    similarity: Float64Array,
    gps: Float32Array,
    faded: Float64Array,
    log_map: Float64Array,
    map_peak: float,
) -> Evidence:
    """All evidence on the n candidates of one photo.

    ``retrieved`` [n] tells neighbours from generations; ``similarity`` [n] and ``gps`` [n, 512]
    are in location space, and so is ``faded`` [n], of ``LocationMap.faded``. ``log_map`` [n] is the
    natural log of the location map's density at each candidate over that of all land evenly,
    ``map_peak`` its greatest anywhere.
    """
    unit = to_unit(latlon)
    apart = apart_km(unit, unit)
    best = float(similarity.max())
    corrected = csls(similarity, gps, gps[retrieved])
    order = np.argsort(np.argsort(-similarity, kind="stable"), kind="stable")
    support = _support(apart, similarity, retrieved)
    votes = _votes(apart, ~retrieved)
    sureness = float(np.clip((best - _UNSURE) / (_SURE - _UNSURE), 0.0, 1.0))
    behind = np.maximum((similarity - best) / STEP, _FAR)
    less_hub = np.maximum((corrected - corrected.max()) / STEP, _FAR)
    dim = np.maximum((faded - faded.max()) / STEP, _FAR)
    likely = np.maximum(log_map - map_peak, _RAREST)
    features = np.column_stack(
        [
            behind,
            behind * sureness,
            less_hub * sureness,
            dim,
            dim * sureness,
            -np.log1p(order),
            support,
            votes,
            likely,
            likely * sureness,
        ]
    )
    context = np.array(
        [
            sureness,
            support[:, 0].max(),
            support[:, 1].max(),
            votes[:, 1].max(),
            np.clip(map_peak, 0.0, _PEAK),
            np.clip(faded.max() / _BRIGHT, 0.0, 1.0 / _BRIGHT),
        ]
    )
    return Evidence(features, context)


def _support(apart: Float64Array, similarity: Float64Array, retrieved: BoolArray) -> Float64Array:
    """Log share [n, 3] of the neighbours' similarity that lies around each candidate."""
    if not retrieved.any():
        return np.full((len(apart), len(_SUPPORT_KM)), np.log(_NO_SUPPORT))
    logits = similarity[retrieved] / _TEMPERATURE
    share = np.exp(logits - logits.max())
    share /= share.sum()
    away = apart[:, retrieved].astype(np.float32)
    near = np.stack([np.exp(away / -km) @ share for km in _SUPPORT_KM], axis=1)
    held: Float64Array = np.log(_NO_SUPPORT + near)
    return held


def _votes(apart: Float64Array, generated: BoolArray) -> Float64Array:
    """Log of one plus the other generations [n, 3] that name about the same place."""
    # Single precision: an exponential of every pair is most of what the evidence costs.
    away = apart[:, generated].astype(np.float32)
    near = np.stack([np.exp(away / -km).sum(axis=1) for km in _VOTES_KM], axis=1)
    near[generated] -= 1.0
    agreeing: Float64Array = np.log1p(np.maximum(near, 0.0))
    return agreeing
