"""From evidence to odds: a few fitted numbers, and NumPy to apply them.

Each candidate may be right on several scales: in the same street, city, region or country. Its
log odds against the prior's whole mass are linear in its evidence, one set of weights for each
scale. Weights on a candidate's own evidence are never negative, so that more similarity, support
or votes never count against it. ``indexer.evaluation.calibrate`` fits the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from geofix.engine.choosing.evidence import BoolArray, Evidence
from geofix.engine.types import LEVELS_KM, Calibration, Float64Array

SURE_ENOUGH = 0.4
"""Uncalibrated, an answer is given when the truth lies within 200 km at least this probably."""
SHIPPED = Path(__file__).parents[1] / "weights" / "scorer.json"


@dataclass(frozen=True, slots=True)
class Steps:
    """A rising function by its corners, constant beyond them."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """Its value at ``value``."""
        return float(np.interp(value, self.x, self.y))


@dataclass(frozen=True, slots=True)
class Figures:
    """What makes the posterior's figures hold, whatever weighs the candidates."""

    levels: Mapping[float, Steps]
    """For each of LEVELS_KM: the posterior's probability → the observed one (isotonic)."""
    radii: Mapping[float, float]
    """Share of photos → posterior mass of the radius that holds it (split conformal)."""
    answer_from: float
    """Least calibrated probability of being within 200 km with which an answer is given."""
    fitted_on: Calibration

    def within(self, raw: Mapping[float, float]) -> dict[float, float]:
        """Calibrated probability for each of LEVELS_KM, never falling from level to level."""
        fitted = [self.levels[km](raw[km]) for km in LEVELS_KM]
        rising = np.maximum.accumulate(np.clip(fitted, 0.0, 1.0))
        return {km: float(p) for km, p in zip(LEVELS_KM, rising, strict=True)}


@dataclass(frozen=True, slots=True)
class Scorer(Figures):
    """Everything that is fitted: the odds, and what makes the posterior's figures hold."""

    widths_km: tuple[float, ...]
    """[S]: the scales."""
    retrieved: tuple[float, ...]
    """[S]: log odds of a neighbour that nothing else speaks for."""
    generated: tuple[float, ...]
    """[S]: the same of a language model's generation."""
    weights: tuple[tuple[float, ...], ...]
    """[len(FEATURES), S], not negative."""
    context: tuple[tuple[float, ...], ...]
    """[len(CONTEXT), S], of any sign."""
    map_weight: float
    """Log odds of a cell per step of its cosine with the photo, on the location map."""
    prior_weight: float
    """Power of the photo prior on that map."""

    def log_odds(self, evidence: Evidence, is_retrieved: BoolArray) -> Float64Array:
        """Natural-log odds [n, S] of each candidate on each scale."""
        bias = np.where(is_retrieved[:, None], self.retrieved, self.generated)
        own = evidence.features @ np.array(self.weights)
        odds: Float64Array = bias + own + evidence.context @ np.array(self.context)
        return odds


def uncalibrated(fitted_on: Calibration) -> Figures:
    """Figures that leave the posterior's own as they are."""
    same = Steps((0.0, 1.0), (0.0, 1.0))
    return Figures(dict.fromkeys(LEVELS_KM, same), {0.5: 0.5, 0.9: 0.9}, SURE_ENOUGH, fitted_on)


_FORMAT = TypeAdapter(Scorer)


def load(file: Path) -> Scorer:
    """Read a fitted scorer; raises ValueError where the file is none."""
    return _FORMAT.validate_json(file.read_bytes())


def save(scorer: Scorer, file: Path) -> None:
    """Write a scorer as JSON."""
    file.write_bytes(_FORMAT.dump_json(scorer, indent=1) + b"\n")


@lru_cache(maxsize=1)
def shipped() -> Scorer:
    """The scorer of this release, fitted on a simulation."""
    return load(SHIPPED)
