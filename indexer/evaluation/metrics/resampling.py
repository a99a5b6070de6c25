"""How much a figure would change with other photos; every draw has a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Float64Array
from indexer.evaluation.metrics.arrays import of_photos

Statistic = Callable[[Float64Array], Float64Array]
"""Maps float64 [..., P] to float64 [...]: one figure for every row of photos."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the interval a bootstrap puts around it."""

    value: float
    low: float
    high: float


def mean(values: Float64Array) -> Float64Array:
    """The mean over photos, as a :data:`Statistic`."""
    return np.asarray(values.mean(axis=-1))


def median(values: Float64Array) -> Float64Array:
    """The median over photos, as a :data:`Statistic`."""
    return np.asarray(np.median(values, axis=-1))


def bootstrap(
    values: npt.ArrayLike,
    statistic: Statistic = mean,
    *,
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over photos (Efron 1979) of a statistic of ``values`` [P].

    The same values and seed give the same interval. For two methods on the same photos pass the
    differences: the interval is then the paired one.
    """
    sample = of_photos(values)
    draws = np.random.default_rng(seed).integers(0, len(sample), size=(resamples, len(sample)))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(statistic(sample[draws]), [tail, 1.0 - tail])
    return Interval(value=float(statistic(sample)), low=float(low), high=float(high))
