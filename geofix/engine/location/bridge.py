"""A bridge from an encoder's space to location space, for encoders that were never aligned.

It is a ridge regression from a gallery's image vectors to the location vectors of their
positions, in closed form. How strong the ridge must be is told by leaving out one contributor at
a time: photos of one contributor are alike and near each other, and would vouch for themselves.
How much the result is worth is told by leaving out one region at a time: photos of a region that
the gallery knows are found by their neighbours. A bridge belongs to one encoder and one gallery
version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from geofix.engine.gallery.durable import replacing
from geofix.engine.location.location_map import LocationMap, nearest_cells
from geofix.engine.location.ridge import Sums, groups, solve, total
from geofix.engine.types import Float32Array, Float64Array, Int64Array
from geofix.errors import InvalidOption, ModelUnavailable
from geofix.geo import cells
from geofix.geo.priors import photo_prior

FEWEST_POINTS = 500
"""With fewer, a bridge would remember its points rather than generalise."""
STRENGTHS: tuple[float, ...] = tuple(float(10.0**e) for e in np.arange(-3.0, 3.1, 0.5))
"""Ridge strengths tried, per point: λ = strength · mean eigenvalue of the covariance."""
GROWTH = 0.2
"""A bridge is fitted again when its gallery has grown or shrunk by this share."""
REGION_LEVEL = 4
"""Regions that are left out are S2 cells of this level, about 600 km wide."""
_WEIGHED_ON = 1000
"""Points on which its worth is measured at most."""
_GREATEST_WEIGHT = 4.0

Check = Callable[[], None]
"""Raises when there is no use in going on."""


def _go_on() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Bridge:
    """A linear map from image vectors to location space."""

    encoder: str
    """Name of the model whose vectors it takes."""
    weights: Float32Array
    """[D, L]."""
    image_mean: Float32Array
    """[D], taken off an image vector first."""
    location_mean: Float32Array
    """[L], added at the end."""
    points: int
    """How many points its gallery held."""
    strength: float
    """The ridge strength chosen, of STRENGTHS."""
    likeness: float
    """Mean cosine of bridged vectors with true location vectors, contributors left out."""
    weight: float = 0.0
    """Log odds of a place per step of its cosine with a bridged vector, on the location map;
    0 where regions that are left out say that the bridge tells nothing."""

    def outgrown_by(self, points: int) -> bool:
        """Whether a gallery of so many points needs a new bridge."""
        return abs(points - self.points) >= GROWTH * self.points


def fit(
    encoder: str,
    images: Float32Array,
    locations: Float32Array,
    contributors: Sequence[str],
    check: Check = _go_on,
) -> Bridge:
    """Fit a bridge to image vectors [N, D] and location vectors [N, L], both of length 1.

    ``contributors`` names who gave each point; a point without one stands for itself. ``check`` is
    called every second or so and may raise. Raises InvalidOption for fewer than 500 points, or when
    all come from one contributor.
    """
    if len(images) < FEWEST_POINTS:
        raise InvalidOption(
            f"A bridge needs {FEWEST_POINTS} points; the gallery has {len(images)}."
        )
    group = groups([name or f"\0{i}" for i, name in enumerate(contributors)])
    if group.max() == 0:
        raise InvalidOption("A bridge needs points of at least two contributors.")
    sums = [Sums.of(images[group == g], locations[group == g]) for g in range(group.max() + 1)]
    whole = total(sums)
    likeness = np.zeros(len(STRENGTHS))
    for number, own in enumerate(sums):
        check()
        held = group == number
        maps = solve(whole.without(own), STRENGTHS)
        for k, one in enumerate(maps):
            likeness[k] += _cosines(one(images[held]), locations[held]).sum()
    best = int(np.argmax(likeness))
    chosen = solve(whole, STRENGTHS[best : best + 1])[0]
    return Bridge(
        encoder=encoder,
        weights=chosen.weights.astype(np.float32),
        image_mean=chosen.image_mean.astype(np.float32),
        location_mean=chosen.location_mean.astype(np.float32),
        points=len(images),
        strength=STRENGTHS[best],
        likeness=float(likeness[best] / len(images)),
    )


def left_out(
    bridge: Bridge,
    images: Float32Array,
    locations: Float32Array,
    labels: Sequence[str],
    check: Check = _go_on,
) -> Float32Array:
    """Location vectors [N, L] of the bridge's own points, each by a bridge without those
    of its label. Raises InvalidOption for a single label: nothing would be left to fit.
    """
    group = groups(labels)
    if group.max() == 0:
        raise InvalidOption("Leaving out needs points of at least two contributors or regions.")
    sums = [Sums.of(images[group == g], locations[group == g]) for g in range(group.max() + 1)]
    whole = total(sums)
    across = np.empty(locations.shape, dtype=np.float32)
    for g, own in enumerate(sums):
        check()
        one = solve(whole.without(own), [bridge.strength])[0]
        across[group == g] = _unit(one(images[group == g]))
    return across


def weighed(
    bridge: Bridge,
    images: Float32Array,
    locations: Float32Array,
    latlon: Float64Array,
    around: LocationMap,
    check: Check = _go_on,
) -> Bridge:
    """The bridge with its worth: the weight of its map under which true places are likeliest.

    The points [N] at ``latlon`` [N, 2] are seen by bridges without their region, all regions
    counting the same. What gains less than its standard error over regions counts for nothing.
    """
    some = slice(0, _WEIGHED_ON)
    regions = cells.tokens(latlon, REGION_LEVEL)
    if len(set(regions)) == 1:
        return replace(bridge, weight=0.0)
    across = left_out(bridge, images, locations, regions, check)[some]
    steps = np.stack([around.steps(vector) for vector in across]).astype(np.float32)
    cell = nearest_cells(latlon[some])
    _, region, size = np.unique(regions[some], return_inverse=True, return_counts=True)
    share = 1.0 / size[region] / len(size)
    weight = _likeliest(steps, cell, share)
    gained = np.bincount(region, _gain(steps, cell, weight)) / size
    worth = gained.mean() > gained.std(ddof=1) / np.sqrt(len(size))
    return replace(bridge, weight=weight if worth else 0.0)


def apply(bridge: Bridge, images: Float32Array) -> Float32Array:
    """Image vectors [..., D] as location vectors [..., L] of length 1."""
    return _unit((images - bridge.image_mean) @ bridge.weights + bridge.location_mean)


def save(bridge: Bridge, file: Path) -> None:
    """Write a bridge; a file of that name is replaced at once or not at all."""
    with replacing(file) as unfinished, unfinished.open("wb") as out:
        np.savez(
            out,
            weights=bridge.weights,
            image_mean=bridge.image_mean,
            location_mean=bridge.location_mean,
            encoder=np.array(bridge.encoder),
            figures=np.array([bridge.points, bridge.strength, bridge.likeness, bridge.weight]),
        )


def load(file: Path, encoder: str) -> Bridge:
    """Read the bridge of ``encoder``.

    Raises ModelUnavailable where the file is missing, damaged or belongs to another encoder.
    """
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as parts:
            points, strength, likeness, weight = parts["figures"].tolist()
            bridge = Bridge(
                encoder=str(parts["encoder"]),
                weights=parts["weights"],
                image_mean=parts["image_mean"],
                location_mean=parts["location_mean"],
                points=int(points),
                strength=strength,
                likeness=likeness,
                weight=weight,
            )
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise ModelUnavailable(f"The bridge {file.name} cannot be read: re-index.") from error
    if bridge.encoder != encoder:
        raise ModelUnavailable(
            f"The bridge {file.name} is of {bridge.encoder!r}, not of {encoder!r}: re-index."
        )
    return bridge


def _likeliest(steps: Float32Array, cell: Int64Array, share: Float64Array) -> float:
    """The weight of the steps [N, C] under which the true cells [N] are likeliest.

    The likelihood is concave in it, so that its slope has one root; ``share`` [N] sums to 1.
    """
    there, prior = steps[np.arange(len(cell)), cell], photo_prior().astype(np.float32)

    def slope(weight: float) -> float:
        odds = prior * np.exp(np.float32(weight) * steps)
        expected = (odds * steps).sum(axis=1) / odds.sum(axis=1)
        return float(share @ (there - expected))

    low, high = 0.0, _GREATEST_WEIGHT
    if slope(low) <= 0.0:
        return low
    for _ in range(16):
        middle = (low + high) / 2.0
        low, high = (middle, high) if slope(middle) > 0.0 else (low, middle)
    return low


def _gain(steps: Float32Array, cell: Int64Array, weight: float) -> Float64Array:
    """Natural log [N] of what the true cells gain over the prior."""
    whole = np.log(np.exp(np.float32(weight) * steps) @ photo_prior())
    gain: Float64Array = weight * steps[np.arange(len(cell)), cell] - whole
    return gain


def _unit(vectors: npt.NDArray[np.floating]) -> Float32Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Float32Array = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return unit


def _cosines(a: Float64Array, b: Float32Array) -> Float64Array:
    cosine: Float64Array = (_unit(a) * b).sum(axis=1).astype(np.float64)
    return cosine
