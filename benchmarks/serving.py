"""What serving costs: ``python -m benchmarks.serving [--quick] [--peers] [--json FILE]``.

First, what an answer costs beyond its bare stages: decoding, encoding and searching are timed
alone, in the same process and turn about with whole answers (retrieval and attributes; text and
language model off), so that a busy machine slows both.

Then photos a second under load, on a ViT-B/32 with random weights: the limit that Pillow and ONNX
Runtime set by themselves while the same client runs, Geofix, and with ``--peers`` others, which
are installed when they are first asked for; and what becomes of four times as many photos as can
be answered. Processor time for one photo tells most where the machine is not idle otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from benchmarks.load import servers, vit
from benchmarks.load.comparison import CONCURRENCY, Cell, compare, ratios
from benchmarks.load.comparison import markdown as table
from benchmarks.load.environments import PEERS, running
from benchmarks.load.overload import overload
from benchmarks.load.photos import SIZES, photo
from geofix.engine import image
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.locate import Locator
from geofix.engine.types import Filter, LocateOptions
from geofix.settings import Settings

GALLERY = "default"
LOCATE = "/v1/locate?generators=none"
OPTIONS = LocateOptions(generators=("attributes",))


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


def under_load(
    folder: Path, *, quick: bool, environments: Path | None
) -> tuple[list[Cell], str, dict[str, object]]:
    """The comparison on one model; with ``environments`` (a folder) also with the peers."""
    model = vit.place(folder).path
    seconds, rounds, clients = (1.5, 1, (1, 8)) if quick else (10.0, 5, CONCURRENCY)
    cells: list[Cell] = []
    overloaded = None
    with servers.geofix(folder) as embed, ExitStack() as peers:
        locate = replace(embed, name="Geofix, locate", path=LOCATE)
        others = []
        if environments:
            others = [peers.enter_context(running(peer, environments, model)) for peer in PEERS]
        for name, size in SIZES.items():
            file = folder / f"{size[0]}.jpg"
            file.write_bytes(photo(size, 1))
            with servers.bare(model, file) as limit:
                cells += compare(
                    name,
                    file,
                    limit,
                    [embed, locate, *others],
                    seconds=seconds,
                    rounds=rounds,
                    concurrency=clients,
                )
            if overloaded is None:
                overloaded = overload(embed, file, 5.0 if quick else 60.0)
    text = overloaded.markdown() if overloaded else ""
    return cells, text, asdict(overloaded) if overloaded else {}


def main() -> None:
    """Measure in a temporary data directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, in place of 10 minutes")
    parser.add_argument("--peers", action="store_true", help="LitServe, BentoML and infinity, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    given = parser.parse_args()
    environments = user_cache_path("geofix") / "benchmarks" if given.peers else None
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(run(Path(folder, "stages"), 20 if given.quick else 200))
        print(markdown(figures), flush=True)
        cells, overloaded, numbers = under_load(
            Path(folder, "load"), quick=given.quick, environments=environments
        )
    print(f"\n{table(cells)}\n\n{overloaded}")
    if given.json:
        document = {
            "stages": figures,
            "load": [asdict(cell) for cell in cells],
            "of_the_limit": {" · ".join(map(str, key)): r for key, r in ratios(cells).items()},
            "overload": numbers,
        }
        given.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
