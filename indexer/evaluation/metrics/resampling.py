"""How much a figure would change with other photos; every draw has a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Float64Array
from indexer.evaluation.metrics.arrays import IntArray, of_photos

Statistic = Callable[[Float64Array], Float64Array]
"""Maps float64 [..., P] to float64 [...]: one figure for every row of photos."""
_DRAWN_AT_ONCE = 2**24
"""Numbers in memory at once: sets have up to 200 000 photos."""


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


def lower_median(values: Float64Array) -> Float64Array:
    """The least value that half of the photos do not exceed, as a :data:`Statistic`."""
    return np.asarray(np.quantile(values, 0.5, axis=-1, method="inverted_cdf"))


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
    rng = np.random.default_rng(seed)
    at_once = max(_DRAWN_AT_ONCE // len(sample), 1)
    found = [
        statistic(sample[rng.integers(0, len(sample), size=(rows, len(sample)))])
        for rows in _parts(resamples, at_once)
    ]
    return _interval(float(statistic(sample)), np.concatenate(found), confidence)


def bootstrap_rows(
    statistic: Callable[[IntArray], float],
    photos: int,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """The same for a statistic of several columns: it is given the rows [P] that were drawn."""
    rng = np.random.default_rng(seed)
    found = [statistic(rng.integers(0, photos, size=photos)) for _ in range(resamples)]
    return _interval(statistic(np.arange(photos)), np.array(found), confidence)


def _interval(value: float, found: Float64Array, confidence: float) -> Interval:
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(found, [tail, 1.0 - tail])
    return Interval(value=value, low=float(low), high=float(high))


def _parts(whole: int, most: int) -> Iterator[int]:
    for start in range(0, whole, most):
        yield min(most, whole - start)
