"""What the measures share: their arrays' types, and curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Float64Array

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve, one point per index, ``x`` ascending."""

    x: Float64Array
    y: Float64Array


def of_photos(values: npt.ArrayLike) -> Float64Array:
    """float64 [P], one value for each photo; raises ValueError for none or another shape."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError("a figure needs one value per photo and at least one photo")
    return array
