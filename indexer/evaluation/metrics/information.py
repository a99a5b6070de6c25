"""What answers tell of the truth, in bits. Shapes: P photos, C cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Float64Array
from geofix.geo.coordinates import EARTH_RADIUS_KM
from indexer.evaluation.metrics.arrays import IntArray

EARTH_AREA_KM2 = 4.0 * np.pi * EARTH_RADIUS_KM**2


def cell_gain_bits(prior: npt.ArrayLike, log_ratio: npt.ArrayLike, cells: IntArray) -> Float64Array:
    """What likelihood ratios over cells tell of the truth beyond the prior, float64 [P] bits.

    ``prior`` [C] sums to 1; ``log_ratio`` [P, C] holds natural-log likelihood ratios up to a
    constant per photo; ``cells`` [P] is the index of each photo's true cell. The gain is
    log2(posterior / prior) at the truth: above 0 when the truth became likelier. Its mean over
    photos is an estimate of the information in the evidence minus what miscalibration costs.
    """
    weights = np.asarray(prior, dtype=np.float64)
    ratios = np.atleast_2d(np.asarray(log_ratio, dtype=np.float64))
    peak = ratios.max(axis=1, keepdims=True)
    log_mean = peak[:, 0] + np.log(np.exp(ratios - peak) @ weights)
    at_truth = ratios[np.arange(len(ratios)), np.asarray(cells)]
    return np.asarray((at_truth - log_mean) / np.log(2.0), dtype=np.float64)


def gain_over_uniform_bits(log_density: npt.ArrayLike) -> Float64Array:
    """Gain of a density over the uniform sphere, in bits.

    ``log_density`` [P] is the natural log of the probability per km² at the truth.
    """
    nats = np.asarray(log_density, dtype=np.float64) + np.log(EARTH_AREA_KM2)
    return np.asarray(nats / np.log(2.0), dtype=np.float64)
