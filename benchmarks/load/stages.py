"""What an answer costs beyond its bare stages: decoding, encoding and searching by themselves.

They are timed in the same process and turn about with whole answers (retrieval and attributes;
text and language model off), so that a busy machine slows both.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.load.photos import SIZES, photo
from geofix.engine import image
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.locate import Locator
from geofix.engine.types import Filter, LocateOptions
from geofix.settings import Settings

GALLERY = "default"
OPTIONS = LocateOptions(generators=("attributes",))


async def measure(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Medians in ms by the photo's size, with a gallery of 60 photos in ``folder``."""
    locator = await Locator.open(Settings(data_dir=folder), role="service")
    try:
        encoder = locator.encoder
        gallery = await locator.galleries.create(GALLERY, encoder.name, encoder.dimension)
        ingest = Ingest(gallery, GALLERY, OwnSight(encoder), locator.location_encoder)
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
            await _medians(locator, data, 5)
            figures[name] = await _medians(locator, data, rounds)
        return figures
    finally:
        await locator.close()


def markdown(figures: Mapping[str, Mapping[str, float]]) -> str:
    """The figures as a table, in ms."""
    columns = ("decode", "encode", "search", "bare", "locate", "beyond")
    lines = ["| photo | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in figures.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[column]:.1f}" for column in columns) + " |")
    return "\n".join(lines)


async def _medians(locator: Locator, data: bytes, rounds: int) -> dict[str, float]:
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
            times[name].append(await _timed_ms(work))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    bare = medians["decode"] + medians["encode"] + medians["search"]
    return {**medians, "bare": bare, "beyond": medians["locate"] - bare}


async def _timed_ms(work: Callable[[], Awaitable[object]]) -> float:
    """How long one call takes, in ms."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1e3
