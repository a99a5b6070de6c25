from __future__ import annotations

import numpy as np
import pytest

from geofix.geo import cells
from geofix.geo.coordinates import haversine_km
from geofix.geo.corners import corners

_ANYWHERE = np.array(
    [(0.0, 0.0), (90.0, 0.0), (-90.0, 12.0), (0.0, 180.0), (0.0, -180.0), (51.5, -0.1),
     (-17.8, 179.99), (-33.9, 151.2), (35.26, 45.0), (-35.26, -135.0), (64.1, -21.9)]
)  # fmt: skip


@pytest.mark.parametrize("level", [0, 1, 2, 6, 13, 30])
def test_corners_are_those_of_the_library(level: int) -> None:
    ids = cells.cell_ids(_ANYWHERE, level)
    expected = np.stack([cells.corners(token) for token in cells.tokens(_ANYWHERE, level)])
    assert haversine_km(corners(ids), expected).max() < 1e-6


def test_cells_of_several_levels_come_out_in_their_order() -> None:
    ids = np.concatenate([cells.cell_ids(_ANYWHERE, level) for level in (3, 8, 5)])
    together = corners(ids)
    assert together.shape == (33, 4, 2)
    for k in (0, 15, 32):
        assert haversine_km(together[k], corners(ids[k : k + 1])[0]).max() < 1e-9


def test_no_cells_have_no_corners() -> None:
    assert corners(np.array([], dtype=np.uint64)).shape == (0, 4, 2)
