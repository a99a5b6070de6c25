"""How good a set of answers is: the field's measures, vectorised over photos."""

from indexer.evaluation.metrics.areas import area_at_recall, areas_to_truth, recall_versus_area
from indexer.evaluation.metrics.arrays import BoolArray, Curve, IntArray
from indexer.evaluation.metrics.confidence import (
    area_under,
    expected_calibration_error,
    risk_coverage,
)
from indexer.evaluation.metrics.distances import accuracy, coverage, geo_score
from indexer.evaluation.metrics.information import (
    EARTH_AREA_KM2,
    cell_gain_bits,
    gain_over_uniform_bits,
)
from indexer.evaluation.metrics.resampling import (
    Interval,
    bootstrap,
    bootstrap_rows,
    lower_median,
    mean,
    median,
)

__all__ = [
    "EARTH_AREA_KM2",
    "BoolArray",
    "Curve",
    "IntArray",
    "Interval",
    "accuracy",
    "area_at_recall",
    "area_under",
    "areas_to_truth",
    "bootstrap",
    "bootstrap_rows",
    "cell_gain_bits",
    "coverage",
    "expected_calibration_error",
    "gain_over_uniform_bits",
    "geo_score",
    "lower_median",
    "mean",
    "median",
    "recall_versus_area",
    "risk_coverage",
]
