"""Corners of many S2 cells at once.

One call of the S2 library a corner costs more than the rest of a heat map; S2's own construction
(Hilbert curve, quadratic projection onto the cube) is a few array operations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geofix.geo.cells import MAX_LEVEL, UInt64Array
from geofix.geo.coordinates import Float64Array, from_unit

_Int64Array = npt.NDArray[np.int64]

_IJ_OF_POSITION = np.array([[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]])
"""By orientation and place on the curve: which quarter, as 2 i + j."""
_TURN_OF_POSITION = np.array([1, 0, 0, 3])
_CORNERS_IJ = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])


def corners(ids: UInt64Array) -> Float64Array:
    """float64 [N, 4, 2]: corners (lat, lon) in degrees, counter-clockwise, of cells uint64 [N].

    The cells may be of several levels.
    """
    face, i, j, level = _face_ij(ids)
    steps = (np.stack([i, j], axis=-1)[:, None, :] + _CORNERS_IJ) / (1 << level)[:, None, None]
    # The quadratic projection, written so that the cube's edges come out as exactly ±1.
    uv = np.where(
        steps >= 0.5, (4.0 * steps**2 - 1.0) / 3.0, (1.0 - 4.0 * (1.0 - steps) ** 2) / 3.0
    )
    return from_unit(_on_cube(face[:, None], uv[..., 0], uv[..., 1]))


def _face_ij(ids: UInt64Array) -> tuple[_Int64Array, _Int64Array, _Int64Array, _Int64Array]:
    """Face, column and row on it, and level of each cell."""
    lowest_bit = ids & (~ids + np.uint64(1))
    level = MAX_LEVEL - np.rint(np.log2(lowest_bit)).astype(np.int64) // 2
    face = (ids >> np.uint64(61)).astype(np.int64)
    orientation, i, j = face & 1, np.zeros_like(face), np.zeros_like(face)
    for depth in range(1, int(level.max(initial=0)) + 1):
        inside = level >= depth
        position = ((ids >> np.uint64(61 - 2 * depth)) & np.uint64(3)).astype(np.int64)
        quarter = _IJ_OF_POSITION[orientation, position]
        i = np.where(inside, 2 * i + (quarter >> 1), i)
        j = np.where(inside, 2 * j + (quarter & 1), j)
        orientation = np.where(inside, orientation ^ _TURN_OF_POSITION[position], orientation)
    return face, i, j, level


def _on_cube(face: _Int64Array, u: Float64Array, v: Float64Array) -> Float64Array:
    """Points [..., 3] of the cube around the Earth, by face and the place on it."""
    one = np.ones_like(u)
    faces = [
        np.stack(axes, axis=-1)
        for axes in (
            (one, u, v),
            (-u, one, v),
            (-u, -v, one),
            (-one, -v, -u),
            (v, -one, -u),
            (v, u, -one),
        )
    ]
    return np.asarray(np.choose(np.broadcast_to(face[..., None], faces[0].shape), faces))
