"""What a gallery of so many photos needs, calculated: ``python -m benchmarks.capacity [MILLIONS]``.

In memory: int8 (or full, or binary) vectors, the graph's links, ids and the indexes of the
payload. On the disk: full vectors, places in location space, payloads and all of the former. The
manifest and the thumbnails come on top, on the service's own disk.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

M = 16
"""Links of a point in the graph; twice as many at its lowest level."""
_LINK_BYTES = 4
_LEVELS = 1.0 + 1.0 / (M - 1)
"""Levels a point lies in, on average."""
_ID_BYTES = 48
"""A UUID, its number and its version, both ways."""
_INDEX_BYTES = 160
"""Of seven keyword indexes, one of times and four cells, a point: a number of four bytes in each
posting list and back, with slack."""
_PAYLOAD_BYTES = 450
_GPS_BYTES = 512 * 4
_THUMBNAIL_BYTES = 12_000
_MANIFEST_SHARE = 0.84
"""Of full vectors that zstd leaves, their bytes apart."""
_SLACK = 1.25
"""What a segment that is being merged needs beside its successor, spread over the others."""

BYTES = {"int8": 1.0, "none": 4.0, "binary": 1.0 / 8.0}


@dataclass(frozen=True)
class Need:
    """GiB for a number of photos."""

    memory: float
    disk: float
    manifest: float
    thumbnails: float


def need(photos: float, dimension: int, quantization: str) -> Need:
    """What a version needs, in GiB; while it is re-indexed there are two."""
    links = (2 * M + M * (_LEVELS - 1.0)) * _LINK_BYTES
    walked = dimension * BYTES[quantization]
    memory = (walked + links + _ID_BYTES + _INDEX_BYTES) * _SLACK
    vectors = dimension * 4 + _GPS_BYTES
    disk = (vectors + _PAYLOAD_BYTES) * _SLACK + memory
    gib = photos / 2**30
    return Need(
        memory * gib,
        disk * gib,
        (vectors * _MANIFEST_SHARE + _PAYLOAD_BYTES / 3) * gib,
        _THUMBNAIL_BYTES * gib,
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("millions", type=float, nargs="?", default=1.0)
    millions = parser.parse_args().millions
    print(f"| {millions:g} M photos | memory GiB | disk GiB | manifest GiB | thumbnails GiB |")
    print("|---|---|---|---|---|")
    for dimension in (512, 768, 1280):
        for quantization in BYTES:
            one = need(millions * 1e6, dimension, quantization)
            print(
                f"| {dimension}-d, {quantization} | {one.memory:.2f} | {one.disk:.1f} "
                f"| {one.manifest:.1f} | {one.thumbnails:.0f} |"
            )


if __name__ == "__main__":
    main()
