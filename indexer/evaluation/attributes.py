"""What the ``attributes`` channel alone tells of where photos were taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from geofix.engine import image
from geofix.engine.encoder import Encoder
from geofix.engine.generators.attributes.generator import weigh
from geofix.engine.types import AttributeClue, Float64Array
from geofix.errors import InvalidPhoto, ModelUnavailable
from geofix.geo.priors import earth, photo_prior
from indexer.evaluation import metrics
from indexer.evaluation.datasets import LabelledPhoto, Skipped, Truth, failure
from indexer.evaluation.report import Figure, Report


@dataclass(frozen=True, slots=True)
class _Seen:
    """One photo's weights."""

    photo: LabelledPhoto
    cell: int
    """Index of the true cell."""
    log_ratio: Float64Array
    clues: tuple[AttributeClue, ...]


def measure_attributes(
    encoder: Encoder, truth: Truth, progress: Callable[[], None] = lambda: None
) -> Report:
    """Information gain over the land × population prior at the true places.

    ``progress`` is called after each photo. Photos taken on the open sea have no cell and are
    skipped. Raises :class:`ModelUnavailable` for an encoder without a class head.
    """
    seen: list[_Seen] = []
    skipped = list(truth.skipped)
    for photo in truth.photos:
        outcome = _look(encoder, photo)
        if isinstance(outcome, Skipped):
            skipped.append(outcome)
        else:
            seen.append(outcome)
        progress()
    return Report(
        title="Information gain of attributes over the land × population prior",
        about={
            "encoder": encoder.name,
            "photos": f"{len(seen)} measured, {len(skipped)} skipped",
            "interval": "percentile bootstrap over photos, 5000 resamples, seed 0",
        },
        figures=_figures(seen) if seen else (),
        skipped=tuple(skipped),
        photos=tuple(_row(one, gain) for one, gain in zip(seen, _gains(seen), strict=True)),
    )


def _look(encoder: Encoder, photo: LabelledPhoto) -> _Seen | Skipped:
    cell = int(earth().cells.locate([(photo.at.lat, photo.at.lon)])[0])
    if cell < 0:
        return Skipped(photo.key, "taken on the open sea")
    try:
        pixels = image.decode(photo.read(), target=encoder.decode_target)
    except (InvalidPhoto, OSError) as error:
        return Skipped(photo.key, failure(error))
    classes = encoder.encode([pixels])[0].classes
    if classes is None:
        raise ModelUnavailable(f"The encoder {encoder.name!r} has no class head.")
    proposal = weigh(classes)
    return _Seen(photo, cell, np.asarray(proposal.cells, dtype=np.float64), proposal.attributes)


def _figures(seen: Sequence[_Seen]) -> tuple[Figure, ...]:
    gains, prior = _gains(seen), photo_prior()
    ratios, cells = _stacked(seen)
    density = np.log(prior / earth().cells.area_km2)
    area = earth().cells.area_km2
    blind = metrics.areas_to_truth(np.tile(density, (len(seen), 1)), area, cells)
    searched = metrics.areas_to_truth(density + ratios, area, cells)
    return (
        Figure.of("mean gain at the truth", metrics.bootstrap(gains), "bits"),
        Figure("of it, gained with the photos exchanged", _exchanged(ratios, cells), "bits"),
        Figure.of("photos that gain", metrics.bootstrap(gains > 0.0), "%"),
        Figure("worst photo", float(gains.min()), "bits"),
        Figure("area to find half of the photos, prior", metrics.area_at_recall(blind), "km²"),
        Figure("area to find half of the photos", metrics.area_at_recall(searched), "km²"),
    )


def _exchanged(ratios: Float64Array, cells: metrics.IntArray) -> float:
    """Mean gain where every photo gets every other photo's weights.

    What remains of the gain is what the photos have in common (say, that all are of roads).
    """
    count = len(cells)
    if count < 2:
        return 0.0
    pairs = np.stack(
        [metrics.cell_gain_bits(photo_prior(), ratios, np.full(count, cell)) for cell in cells]
    )
    return float((pairs.sum() - np.trace(pairs)) / (count * (count - 1)))


def _gains(seen: Sequence[_Seen]) -> Float64Array:
    if not seen:
        return np.empty(0)
    ratios, cells = _stacked(seen)
    return metrics.cell_gain_bits(photo_prior(), ratios, cells)


def _stacked(seen: Sequence[_Seen]) -> tuple[Float64Array, metrics.IntArray]:
    cells = np.array([one.cell for one in seen], dtype=np.int64)
    return np.stack([one.log_ratio for one in seen]), cells


def _row(one: _Seen, gain: float) -> dict[str, object]:
    return {
        "photo": one.photo.key,
        "lat": one.photo.at.lat,
        "lon": one.photo.at.lon,
        "gain_bits": float(gain),
        "attributes": {clue.name: clue.probability for clue in one.clues},
    }
