"""Where photos are expected, as the searched galleries have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from geofix.engine.gallery.conditions import CELL_LEVELS
from geofix.engine.location.location_map import expected_by_token
from geofix.engine.retrieval import Searched
from geofix.engine.types import Float64Array, GalleryInfo
from geofix.errors import Unavailable
from geofix.geo.priors import earth

_GROWTH = 0.2
"""Counting again is worth it when the galleries have grown or shrunk by this share."""


class Expectation:
    """Counts galleries' photos by cell, and remembers the last count."""

    def __init__(self) -> None:
        self._counted: tuple[tuple[tuple[str, int], ...], int] | None = None
        self._places: Float64Array | None = None

    async def places(
        self, galleries: Sequence[Searched], infos: Sequence[GalleryInfo]
    ) -> Float64Array:
        """Share [N] of photos expected in each cell of ``earth()``."""
        versions = tuple((info.name, info.version) for info in infos)
        total = sum(info.count for info in infos)
        if self._places is not None and self._counted is not None:
            before, then = self._counted
            if before == versions and abs(total - then) <= _GROWTH * then:
                return self._places
        counts: Counter[str] = Counter()
        complete = True
        for gallery in galleries:
            try:
                counts.update(await gallery.facet("cell"))
            except Unavailable:
                complete = False  # this answer does without, the next one counts again
        level = min(level for level in CELL_LEVELS if level >= earth().cells.level)
        places = expected_by_token(counts, level)
        if complete:
            self._places, self._counted = places, (versions, total)
        return places
