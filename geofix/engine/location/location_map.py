"""Which parts of the Earth a photo looks like, seen in location space.

The location encoder's finest features change within a few kilometres, and a photo often shows
none of them. Averaged over a region they cancel out; what is left tells which region, even where
no candidate lies in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np

from geofix.engine.types import Float32Array, Float64Array, Int64Array
from geofix.geo import cells
from geofix.geo.coordinates import apart_km, to_unit
from geofix.geo.priors import earth, photo_prior

Encode = Callable[[Float64Array], Float32Array]
"""(lat, lon) [n, 2] within ±90 and ±180 degrees → location vectors [n, 512] of length 1."""

STEP = 0.02
"""Cosines are counted in steps of this size."""
SMOOTHED_KM = 120.0
"""Above the wavelength of the encoder's finest capsule (78 km), well below the middle one's."""
BROAD_KM = 1000.0
"""Nearly the wavelength of the middle capsule (1 250 km): only the coarsest is left."""
_FADING = tuple((middle, fine) for middle in (0.0, 0.25, 0.5, 1.0) for fine in (0.1, 0.5, 1.0))
"""How much of its middle and fine band a photo may show."""
_FAR = -20.0
_BATCH = 512


@dataclass(frozen=True, slots=True, eq=False)
class LocationMap:
    """Location vectors of the land cells of ``earth()``, each averaged with those around it."""

    vectors: Float32Array
    """[N, 512], averaged over SMOOTHED_KM; not of length 1."""
    broad: Float32Array
    """[N, 512], averaged over BROAD_KM."""
    mean: Float32Array
    """[512], of all land."""

    @classmethod
    def build(cls, encode: Encode) -> LocationMap:
        """Encode every land cell; seconds, once for a process."""
        land = earth().cells
        vectors = encode(land.latlon)
        smooth, broad = np.empty_like(vectors), np.empty_like(vectors)
        for start in range(0, len(land), _BATCH):
            rows = slice(start, start + _BATCH)
            apart = apart_km(land.unit[rows], land.unit)
            for km, out in ((SMOOTHED_KM, smooth), (BROAD_KM, broad)):
                near = np.exp(-0.5 * (apart / km) ** 2).astype(np.float32)
                out[rows] = near @ vectors / near.sum(axis=1, keepdims=True)
        return cls(smooth, broad, vectors.mean(axis=0))

    def faded(self, vector: Float32Array, cell: Int64Array, gps: Float32Array) -> Float64Array:
        """Greatest cosine [n] of a photo with each position, whatever the photo does not show.

        ``cell`` [n] is of ``nearest_cells``. A position's vector ``gps`` [n, 512] is split by
        averaging into a broad, a middle and a fine band; a photo of wide open country shows little
        of the finer ones, and is then less like its own position than like others. The bands are
        weighed as suits each position best.
        """
        broad, smooth = self.broad[cell], self.vectors[cell]
        bands = np.stack([broad - self.mean, smooth - broad, gps - smooth])
        shown = (bands @ vector).astype(np.float64)
        weights = np.array([(1.0, middle, fine) for middle, fine in _FADING])
        squared = np.zeros((len(weights), len(gps)))
        for a, b in combinations_with_replacement(range(3), 2):
            product = np.einsum("nd,nd->n", bands[a], bands[b]).astype(np.float64)
            twice = 1.0 if a == b else 2.0
            squared += twice * (weights[:, a] * weights[:, b])[:, None] * product
        cosine = weights @ shown / np.sqrt(np.maximum(squared, 1e-12))
        best: Float64Array = cosine.max(axis=0)
        return best

    def steps(self, vector: Float32Array) -> Float64Array:
        """How many steps of cosine [N] each cell is behind the one most like the photo."""
        likeness = (self.vectors @ vector).astype(np.float64)
        behind: Float64Array = np.maximum((likeness - likeness.max()) / STEP, _FAR)
        return behind

    def log_ratio(
        self,
        vector: Float32Array,
        weight: float,
        prior_weight: float,
        expected: Float64Array | None = None,
    ) -> Float64Array:
        """Natural log [N] of what each cell gains over the photo prior; the result is normalised.

        ``vector`` is the photo's, [512]; ``weight`` counts steps of its cosine with a cell's
        vector; ``expected`` [N] says where photos are expected, see ``expected_places`` (None:
        as the photo prior), and ``prior_weight`` is its power.
        """
        places = _log_prior() if expected is None else np.log(expected)
        gain = weight * self.steps(vector) + prior_weight * places - _log_prior()
        share: Float64Array = gain - np.log(np.exp(gain) @ photo_prior())
        return share


def expected_places(cell: Int64Array, counts: Float64Array | None = None) -> Float64Array:
    """Share [N] of photos expected in each cell, given the cells [n] of a gallery's photos.

    People photograph where others have photographed before. As many photos as there are cells are
    added as the photo prior has them, so that a small gallery says little. ``counts`` [n] says how
    many photos each entry of ``cell`` stands for (None: one); −1 is the sea and counts for nothing.
    """
    ashore = cell >= 0
    weights = None if counts is None else counts[ashore]
    held = np.bincount(cell[ashore], weights, len(earth().cells)).astype(np.float64)
    shares: Float64Array = (held + len(held) * photo_prior()) / (held.sum() + len(held))
    return shares


def expected_by_token(counts: Mapping[str, int], level: int) -> Float64Array:
    """The same from how many photos lie in each S2 cell; tokens of other levels are passed over.

    ``level`` must not be coarser than the land cells'.
    """
    ids = cells.ids_of(counts)
    chosen = cells.of_level(ids, level)
    land = earth().cells
    held = np.array(list(counts.values()), dtype=np.float64)[chosen]
    return expected_places(land.find(cells.parents(ids[chosen], land.level)), held)


def log_density(log_ratio: Float64Array) -> Float64Array:
    """Natural log [N] of a map's density in each cell, over that of all land evenly."""
    density: Float64Array = log_ratio + _log_prior() - _log_area()
    return density


def nearest_cells(latlon: Float64Array, cell: Int64Array | None = None) -> Int64Array:
    """The cell of ``earth()`` of each position [n, 2], the nearest one for those at sea.

    ``cell`` [n] is where they lie, −1 at sea, if that is known.
    """
    land = earth().cells
    cell = land.locate(latlon) if cell is None else cell.copy()
    at_sea = cell < 0
    if at_sea.any():
        cell[at_sea] = land.nearest(to_unit(latlon[at_sea]))
    return cell


def at(density: Float64Array, cell: Int64Array) -> Float64Array:
    """The value [n] of a map [N] in each cell; its least at sea (−1)."""
    values: Float64Array = np.where(cell >= 0, density[cell], density.min())
    return values


@lru_cache(maxsize=1)
def _log_prior() -> Float64Array:
    shares: Float64Array = np.log(photo_prior())
    return shares


@lru_cache(maxsize=1)
def _log_area() -> Float64Array:
    area = earth().cells.area_km2
    shares: Float64Array = np.log(area / area.sum())
    return shares
