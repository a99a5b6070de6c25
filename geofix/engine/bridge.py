"""A bridge from an encoder's space to location space, for encoders that were never aligned.

It is a ridge regression from a gallery's image vectors to the location vectors of their
positions, in closed form. How strong the ridge must be is told by leaving out one contributor at
a time: photos of one contributor are alike and near each other, and would vouch for themselves.
A bridge belongs to one encoder and one gallery version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from geofix.engine.types import Float32Array, Float64Array, Int64Array
from geofix.errors import InvalidOption, ModelUnavailable

FEWEST_POINTS = 500
"""With fewer, a bridge would remember its points rather than generalise."""
STRENGTHS: tuple[float, ...] = tuple(float(10.0**e) for e in np.arange(-3.0, 3.1, 0.5))
"""Ridge strengths tried, per point: λ = strength · mean eigenvalue of the covariance."""
FOLDS = 10
"""Contributors are left out in as many groups, where there are more of them."""
GROWTH = 0.2
"""A bridge is fitted again when its gallery has grown by this share."""


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
    """How many gallery points it was fitted on."""
    strength: float
    """The ridge strength chosen, of STRENGTHS."""
    likeness: float
    """Mean cosine of bridged vectors with true location vectors, contributors left out."""

    def outgrown_by(self, points: int) -> bool:
        """Whether a gallery of so many points needs a new bridge."""
        return points >= (1.0 + GROWTH) * self.points


def fit(
    encoder: str, images: Float32Array, locations: Float32Array, contributors: Sequence[str]
) -> Bridge:
    """Fit a bridge to image vectors [N, D] and location vectors [N, L], both of length 1.

    ``contributors`` names who gave each point; a point without one stands for itself. Raises
    InvalidOption for fewer than 500 points, or when all come from one contributor.
    """
    if len(images) < FEWEST_POINTS:
        raise InvalidOption(
            f"A bridge needs {FEWEST_POINTS} points; the gallery has {len(images)}."
        )
    group = _groups(contributors)
    if group.max() == 0:
        raise InvalidOption("A bridge needs points of at least two contributors.")
    x, y = images.astype(np.float64), locations.astype(np.float64)
    likeness = np.zeros(len(STRENGTHS))
    for left_out in range(int(group.max()) + 1):
        held = group == left_out
        maps, x_mean, y_mean = _ridge(x[~held], y[~held], STRENGTHS)
        for k, weights in enumerate(maps):
            likeness[k] += _cosines((x[held] - x_mean) @ weights + y_mean, y[held]).sum()
    best = int(np.argmax(likeness))
    maps, x_mean, y_mean = _ridge(x, y, STRENGTHS[best : best + 1])
    return Bridge(
        encoder=encoder,
        weights=maps[0].astype(np.float32),
        image_mean=x_mean.astype(np.float32),
        location_mean=y_mean.astype(np.float32),
        points=len(x),
        strength=STRENGTHS[best],
        likeness=float(likeness[best] / len(x)),
    )


def apply(bridge: Bridge, images: Float32Array) -> Float32Array:
    """Image vectors [..., D] as location vectors [..., L] of length 1."""
    crossed = (images - bridge.image_mean) @ bridge.weights + bridge.location_mean
    length = np.linalg.norm(crossed, axis=-1, keepdims=True)
    across: Float32Array = (crossed / np.maximum(length, 1e-12)).astype(np.float32)
    return across


def save(bridge: Bridge, file: Path) -> None:
    """Write a bridge; a file of that name is replaced at once or not at all."""
    unfinished = file.with_name(file.name + ".part")
    with unfinished.open("wb") as out:
        np.savez(
            out,
            weights=bridge.weights,
            image_mean=bridge.image_mean,
            location_mean=bridge.location_mean,
            encoder=np.array(bridge.encoder),
            figures=np.array([bridge.points, bridge.strength, bridge.likeness]),
        )
    unfinished.replace(file)


def load(file: Path, encoder: str) -> Bridge:
    """Read the bridge of ``encoder``.

    Raises ModelUnavailable where the file is missing, damaged or belongs to another encoder.
    """
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as parts:
            points, strength, likeness = parts["figures"].tolist()
            bridge = Bridge(
                encoder=str(parts["encoder"]),
                weights=parts["weights"],
                image_mean=parts["image_mean"],
                location_mean=parts["location_mean"],
                points=int(points),
                strength=strength,
                likeness=likeness,
            )
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise ModelUnavailable(f"The bridge {file.name} cannot be read: re-index.") from error
    if bridge.encoder != encoder:
        raise ModelUnavailable(
            f"The bridge {file.name} is of {bridge.encoder!r}, not of {encoder!r}: re-index."
        )
    return bridge


def _ridge(
    x: Float64Array, y: Float64Array, strengths: Sequence[float]
) -> tuple[list[Float64Array], Float64Array, Float64Array]:
    """One map [D, L] for each strength from a single eigendecomposition, and both means."""
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    turned = vectors.T @ (centred.T @ (y - y_mean))
    scale = max(float(values.mean()), 1e-12)
    maps = [vectors @ (turned / (values + s * scale)[:, None]) for s in strengths]
    return maps, x_mean, y_mean


def _groups(contributors: Sequence[str]) -> Int64Array:
    """Group number [N] of each point: contributors stay whole and are dealt out by size."""
    names = np.array([name or f"\0{i}" for i, name in enumerate(contributors)])
    unique, member, size = np.unique(names, return_inverse=True, return_counts=True)
    count = min(FOLDS, len(unique))
    load_of = np.zeros(count)
    group = np.zeros(len(unique), dtype=np.int64)
    for name in np.argsort(-size, kind="stable"):
        group[name] = int(np.argmin(load_of))
        load_of[group[name]] += size[name]
    dealt: Int64Array = group[member]
    return dealt


def _cosines(a: Float64Array, b: Float64Array) -> Float64Array:
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine: Float64Array = (a * b).sum(axis=1) / np.maximum(length, 1e-12)
    return cosine
