"""A simulated language model: what it writes when asked twenty times where a photo was taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geofix.engine.types import Float64Array
from geofix.geo.coordinates import destination

REFUSALS = (
    "I'm sorry, but I cannot determine the location of this image.",
    '{"latitude": float, "longitude": float}',
    "The picture shows a street, perhaps in Europe.",
)


@dataclass(frozen=True, slots=True)
class Habits:
    """How the language model answers."""

    nameable: float = 0.35
    """Share of photos whose place it can name."""
    generations: int = 20
    place_km: float = 3.0
    """Median distance from the photo to the place that it names; log-normal, σ 1."""
    digits_km: float = 1.0
    """Median distance from that place to each answer's coordinates; log-normal, σ 1."""
    repeated: float = 0.3
    """Of scattered answers, the share that repeats an earlier one."""
    outliers: float = 0.10
    swapped: float = 0.03
    null_island: float = 0.03
    unparsable: float = 0.03


SCATTER_KM = 5.0
"""Median distance from a scattered answer to the place it was drawn from; log-normal, σ 1."""


def generate(
    truth: Float64Array, places: Float64Array, habits: Habits, seed: int = 0
) -> tuple[list[tuple[str, ...]], Float64Array]:
    """Texts of each photo's generations, and the pairs [P, n, 2] in them (NaN: none).

    ``truth`` is [P, 2] degrees; ``places`` [G, 2] are what scattered answers are drawn from.
    Pairs stand as written, swapped ones too.
    """
    rng = np.random.default_rng(seed)
    pairs = np.stack([_positions(here, places, habits, rng) for here in truth])
    kind = rng.random(pairs.shape[:2])
    edges = np.cumsum([habits.outliers, habits.swapped, habits.null_island, habits.unparsable])
    is_outlier = kind < edges[0]
    pairs[is_outlier] = _scatter(places[rng.integers(len(places), size=is_outlier.sum())], rng)
    pairs = np.round(pairs, 4)
    is_swapped = (kind >= edges[0]) & (kind < edges[1])
    pairs[is_swapped] = pairs[is_swapped][:, ::-1]
    pairs[(kind >= edges[1]) & (kind < edges[2])] = 0.0
    pairs[(kind >= edges[2]) & (kind < edges[3])] = np.nan
    texts = [tuple(_written(lat, lon, i) for i, (lat, lon) in enumerate(row)) for row in pairs]
    return texts, pairs


def _positions(
    here: Float64Array, places: Float64Array, habits: Habits, rng: np.random.Generator
) -> Float64Array:
    n = habits.generations
    if rng.random() < habits.nameable:
        named = destination(here, rng.random() * 360.0, _lognormal(habits.place_km, 1, rng)[0])
        return destination(named, rng.random(n) * 360.0, _lognormal(habits.digits_km, n, rng))
    guesses = places[rng.integers(len(places), size=n)]
    for i in range(1, n):
        if rng.random() < habits.repeated:
            guesses[i] = guesses[rng.integers(i)]
    return _scatter(guesses, rng)


def _scatter(points: Float64Array, rng: np.random.Generator) -> Float64Array:
    n = len(points)
    return destination(points, rng.random(n) * 360.0, _lognormal(SCATTER_KM, n, rng))


def _lognormal(median_km: float, n: int, rng: np.random.Generator) -> Float64Array:
    drawn: Float64Array = median_km * np.exp(rng.standard_normal(n))
    return drawn


def _written(lat: float, lon: float, i: int) -> str:
    if np.isnan(lat):
        return REFUSALS[i % len(REFUSALS)]
    return f'{{"latitude": {lat:.4f}, "longitude": {lon:.4f}}}'
