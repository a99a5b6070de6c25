"""Whether answers know how good they are. Shapes: P photos."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from indexer.evaluation.metrics.arrays import Curve, of_photos


def expected_calibration_error(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, bins: int = 15
) -> float:
    """ECE (Guo et al., ICML 2017): mean |confidence - frequency| over equal-width bins.

    ``probabilities`` [P] in [0, 1], ``outcomes`` [P] true or false; bins weigh what they hold.
    """
    p = of_photos(probabilities)
    hit = np.asarray(outcomes, dtype=np.float64)
    which = np.minimum((p * bins).astype(np.int64), bins - 1)
    # Per bin, count·|mean p - mean hit| is |sum p - sum hit|: empty bins add nothing.
    gaps = np.bincount(which, weights=p - hit, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


def risk_coverage(confidence: npt.ArrayLike, loss: npt.ArrayLike) -> Curve:
    """Mean loss (y) when only the surest share (x) of photos is answered.

    ``confidence`` and ``loss`` are [P]. Photos of equal confidence cannot be told apart, so each
    takes its group's mean loss: the curve does not depend on their order.
    """
    sure = of_photos(confidence)
    order = np.argsort(-sure, kind="stable")
    _, group = np.unique(-sure[order], return_inverse=True)
    ranked = of_photos(loss)[order]
    mean = np.bincount(group, weights=ranked) / np.bincount(group)
    answered = np.arange(1, len(ranked) + 1)
    return Curve(x=answered / len(ranked), y=np.cumsum(mean[group]) / answered)


def area_under(curve: Curve) -> float:
    """Mean height of a curve whose x are evenly spaced over (0, 1]: AURC for risk–coverage."""
    return float(curve.y.mean())
