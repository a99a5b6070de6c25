"""A gallery's directory of Qdrant Edge shards: which one is in use, and how one is made.

The file ``current`` names the shard in use. Another one beside it is being built, or was in use
until a moment ago.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import qdrant_edge as qe

from geofix.engine.gallery.conditions import KEYWORDS
from geofix.engine.gallery.durable import replacing
from geofix.engine.gallery.port import Quantization
from geofix.engine.gallery.records import GPS_DIMENSION
from geofix.errors import Unavailable

_CURRENT = "current"


def open_shard(
    directory: Path, dimension: int, quantization: Quantization = Quantization.INT8
) -> qe.EdgeShard:
    """The shard in use, or a new one for vectors of ``dimension``. Raises Unavailable."""
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / _CURRENT).exists():
        path = directory / uuid.uuid4().hex
        shard = create(path, dimension, quantization)
        name_current(directory, path)
    else:
        shard = load(current(directory))
    remove_others(directory)
    return shard


def create(path: Path, dimension: int, quantization: Quantization) -> qe.EdgeShard:
    """A new shard in a directory of its own."""
    path.mkdir()
    shard = qe.EdgeShard.create(str(path), _config(dimension, quantization))
    for field in KEYWORDS:
        shard.update(qe.UpdateOperation.create_field_index(field, qe.PayloadSchemaType.Keyword))
    shard.update(qe.UpdateOperation.create_field_index("captured", qe.PayloadSchemaType.Float))
    shard.flush()
    return shard


def load(path: Path) -> qe.EdgeShard:
    """Open a shard. Raises Unavailable when it is damaged or open elsewhere."""
    try:
        return qe.EdgeShard.load(str(path))
    except Exception as error:  # Edge raises nothing more specific
        raise Unavailable(
            "The gallery's index is damaged or open in another process. If no other process has "
            "it, remove the folder `index` of the gallery's version: it is rebuilt from the ledger."
        ) from error


def _quantized(
    wanted: Quantization,
) -> qe.ScalarQuantizationConfig | qe.BinaryQuantizationConfig | None:
    if wanted is Quantization.INT8:
        return qe.ScalarQuantizationConfig(
            qe.ScalarType.Int8, quantile=0.99, memory=qe.Memory.Pinned
        )
    if wanted is Quantization.BINARY:
        return qe.BinaryQuantizationConfig(memory=qe.Memory.Pinned)
    return None


def _config(dimension: int, quantization: Quantization) -> qe.EdgeConfig:
    return qe.EdgeConfig(
        vectors={
            "image": qe.EdgeVectorParams(
                dimension,
                qe.Distance.Dot,  # of unit vectors: the cosine, and the vectors stay as they are
                quantization_config=_quantized(quantization),
                memory=qe.Memory.Cached,
            ),
            "gps": qe.EdgeVectorParams(
                GPS_DIMENSION,
                qe.Distance.Dot,
                hnsw_config=qe.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10_000),
                memory=qe.Memory.Cold,
            ),
        },
        hnsw_config=qe.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=10_000),
        wal_enabled=True,
    )


def current(directory: Path) -> Path:
    """The directory of the shard in use."""
    return directory / (directory / _CURRENT).read_text("utf-8").strip()


def name_current(directory: Path, shard: Path) -> None:
    """Make ``shard`` the one in use, from now on and after a power failure."""
    with replacing(directory / _CURRENT) as written:
        written.write_text(shard.name, "utf-8")


def remove_others(directory: Path) -> None:
    """Remove shards that were being built, or were in use before."""
    kept = current(directory)
    for path in directory.iterdir():
        if path.is_dir() and path != kept:
            shutil.rmtree(path, ignore_errors=True)
