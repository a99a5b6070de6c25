"""What a refined answer had to do without is counted as for any other answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from geofix.engine.locate import Locator
from geofix.engine.types import Degradation, LocateOptions
from geofix.engine.watching import Watcher
from geofix.settings import Settings


class Counting(Watcher):
    """Remembers what was degraded."""

    def __init__(self) -> None:
        self.seen: list[Degradation] = []

    def degraded(self, degradation: Degradation) -> None:
        self.seen.append(degradation)


def test_a_generator_that_needs_the_photo_is_counted_as_missing(
    tmp_path: Path, jpeg: bytes
) -> None:
    watch = Counting()

    async def run() -> tuple[Degradation, ...]:
        locator = await Locator.open(Settings(data_dir=tmp_path), watch=watch)
        try:
            first = await locator.locate(jpeg, LocateOptions(generators=("none",), keep=True))
            return (await locator.refine(first.id, LocateOptions())).degraded
        finally:
            await locator.close()

    assert asyncio.run(run()) == (Degradation("text", "photo-not-kept"),)
    assert watch.seen == [Degradation("text", "photo-not-kept")]
