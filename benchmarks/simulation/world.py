"""The places of the simulation and their location vectors, capsule by capsule."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

from geofix.engine.location.location_map import LocationMap
from geofix.engine.models import COORDINATES_MODEL, LOCATION_MODEL, MICRODEGREES, built_in
from geofix.engine.types import Float32Array, Float64Array, Int64Array

CAPSULES = ("linear_3", "linear_7", "linear_11")
"""Tensors of the location encoder's graph that its output is the sum of: σ = 1, 16, 256."""
_BATCH = 2048


@dataclass(frozen=True, slots=True)
class World:
    """Distinct places; a gallery of them and two sets of queries held out of it."""

    latlon: Float64Array
    """[N, 2] degrees, no two rows equal."""
    capsules: Float32Array
    """[3, N, 512]: what each scale of the location encoder adds to its output."""
    gallery: Int64Array
    """Rows of the gallery."""
    fit: Int64Array
    """Rows held out to fit on."""
    measure: Int64Array
    """Rows held out to measure on."""
    map: LocationMap

    @property
    def gallery_latlon(self) -> Float64Array:
        """[G, 2] degrees."""
        return self.latlon[self.gallery]

    def gallery_vectors(self) -> Float32Array:
        """[G, 512], L2-normalised: what a gallery stores as ``gps``."""
        return unit(self.capsules[:, self.gallery].sum(axis=0))


class CapsuleEncoder:
    """The built-in location encoder, opened so that its three capsules can be read."""

    def __init__(self, threads: int = 0) -> None:
        import onnx  # noqa: PLC0415 – only where capsules are computed
        import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415

        graph = onnx.load(built_in()[LOCATION_MODEL].path)
        for name in CAPSULES:
            graph.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 512])
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def encode(self, latlon: Float64Array) -> Float32Array:
        """(lat, lon) degrees [N, 2] → [3, N, 512], not normalised."""
        points = np.asarray(latlon, dtype=np.float32)
        out = np.empty((3, len(points), 512), dtype=np.float32)
        for start in range(0, len(points), _BATCH):
            rows = slice(start, start + _BATCH)
            for k, values in enumerate(self._session.run(CAPSULES, {"latlon": points[rows]})):
                out[k, rows] = values
        return out


def build(
    encoder: CapsuleEncoder, queries: int = 5000, places: int | None = None, seed: int = 0
) -> World:
    """Hold out ``queries`` places to measure on and as many to fit on.

    Rows of the coordinate list that are equal are one place, so that a query's twins never stay
    in the gallery. ``places`` keeps a random part of the list, for a quick look.
    """
    latlon = _places()
    capsules = _cached_capsules(encoder, latlon) if places is None else None
    order = np.random.default_rng(seed).permutation(len(latlon))
    if capsules is None:
        latlon = latlon[np.sort(order[:places])]
        capsules = encoder.encode(latlon)
        order = np.random.default_rng(seed).permutation(len(latlon))
    return World(
        latlon,
        capsules,
        gallery=np.sort(order[2 * queries :]),
        fit=order[queries : 2 * queries],
        measure=order[:queries],
        map=LocationMap.build(lambda points: unit(encoder.encode(points).sum(axis=0))),
    )


def unit(vectors: npt.NDArray[np.float32]) -> Float32Array:
    """Vectors [..., D] scaled to length 1."""
    scaled: Float32Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def _places() -> Float64Array:
    rows = np.load(built_in()[COORDINATES_MODEL].path)
    distinct: Float64Array = np.unique(rows, axis=0) / MICRODEGREES
    return distinct


def _cached_capsules(encoder: CapsuleEncoder, latlon: Float64Array) -> Float32Array:
    card = built_in()[LOCATION_MODEL]
    key = hashlib.sha256(card.sha256.encode() + latlon.tobytes()).hexdigest()[:16]
    file = Path(platformdirs.user_cache_dir("geofix")) / f"capsules-{key}.npy"
    if file.exists():
        cached: Float32Array = np.load(file)
        return cached
    capsules = encoder.encode(latlon)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part.npy")
    np.save(unfinished, capsules)
    unfinished.replace(file)
    return capsules
