"""What an answer costs beyond its bare stages: ``python -m benchmarks.serving [--quick]``.

Decoding, encoding and searching are timed alone, in the same process and turn about with whole
answers (retrieval and attributes; text and language model off), so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from geofix.engine import image
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer
from geofix.engine.locate import Locator
from geofix.engine.types import Filter, LocateOptions
from geofix.settings import Settings

GALLERY = "default"
SIZES = {"800×600": (800, 600), "12 MP": (4000, 3000)}
OPTIONS = LocateOptions(generators=("attributes",))


def photo(size: tuple[int, int], seed: int) -> bytes:
    """A JPEG with structure at every scale, as photos have."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 255, (n, n, 3), dtype=np.uint8)).resize(size)
        for n in (4, 16, 64, 256)
    ]
    mixed = np.mean([np.asarray(layer) for layer in layers], axis=0).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(mixed).save(stream, "JPEG", quality=88)
    return stream.getvalue()


async def timed_ms(work: Callable[[], Awaitable[object]]) -> float:
    """How long one call takes, in ms."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1e3


async def measure(locator: Locator, data: bytes, rounds: int) -> dict[str, float]:
    """Medians in ms: each bare stage, their sum, the whole answer, and what it costs beyond."""
    gallery = await locator.galleries.open(GALLERY)
    target = locator.encoder.decode_target
    decoded = image.decode(data, target=target)
    vector = locator.encoder.encode([decoded])[0].vector

    async def decode() -> object:
        return image.decode(data, target=target)

    async def encode() -> object:
        return locator.encoder.encode([decoded])

    async def search() -> object:
        return await gallery.search(vector, OPTIONS.neighbours, Filter())

    async def locate() -> object:
        return await locator.locate(data, OPTIONS)

    stages = {"decode": decode, "encode": encode, "search": search, "locate": locate}
    times: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, work in stages.items():
            times[name].append(await timed_ms(work))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    bare = medians["decode"] + medians["encode"] + medians["search"]
    return {**medians, "bare": bare, "beyond": medians["locate"] - bare}


async def run(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Figures by the photo's size."""
    locator = await Locator.open(Settings(data_dir=folder), role="service")
    try:
        encoder = locator.encoder
        gallery = await locator.galleries.create(GALLERY, encoder.name, encoder.dimension)
        ingest = Ingest(gallery, GALLERY, encoder, locator.location_encoder)
        gallery_photos = [photo((320, 240), seed) for seed in range(60)]
        await ingest.take(
            [
                Offer(str(i), partial(bytes, data), (48.0 + i / 10.0, 2.0 + i / 10.0))
                for i, data in enumerate(gallery_photos)
            ]
        )
        figures = {}
        for name, size in SIZES.items():
            data = photo(size, 1000)
            await measure(locator, data, 5)
            figures[name] = await measure(locator, data, rounds)
        return figures
    finally:
        await locator.close()


def markdown(figures: dict[str, dict[str, float]]) -> str:
    """The figures as a table, in ms."""
    columns = ("decode", "encode", "search", "bare", "locate", "beyond")
    lines = ["| photo | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in figures.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[column]:.1f}" for column in columns) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure in a temporary data directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 rounds in place of 200")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(run(Path(folder), 20 if given.quick else 200))
    print(markdown(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
