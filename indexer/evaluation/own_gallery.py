"""A gallery made of the measured photos themselves, to search each among the others."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.locate import Locator
from geofix.settings import Settings
from indexer.evaluation.datasets import Skipped, Truth
from indexer.galleries.build import Report, build

OWN_GALLERY = "evaluation"
"""Its name."""


@asynccontextmanager
async def own_gallery(
    settings: Settings,
    truth: Truth,
    folder: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> AsyncIterator[tuple[Locator, tuple[Skipped, ...]]]:
    """An engine over such a gallery, and the photos that could not be put into it.

    It lies in ``folder``, where one that was begun is gone on with, or in a temporary directory.
    ``progress`` is called for each photo.
    """
    with tempfile.TemporaryDirectory(prefix="geofix-evaluation-") as temporary:
        ours = folder or Path(temporary)
        ours.mkdir(parents=True, exist_ok=True)
        models = settings.data_dir / "models"
        link = ours / "models"
        if models.is_dir() and not link.exists():
            link.symlink_to(models.resolve(), target_is_directory=True)
        chosen = settings.model_copy(update={"data_dir": ours, "gallery": OWN_GALLERY})
        locator = await Locator.open(chosen, role="evaluate")
        try:
            yield locator, await _fill(locator, truth, progress)
        finally:
            await locator.close()


async def _fill(
    locator: Locator, truth: Truth, progress: Callable[[], None]
) -> tuple[Skipped, ...]:
    encoder = locator.encoder
    gallery = await locator.galleries.create(OWN_GALLERY, encoder.name, encoder.dimension)
    ingest = Ingest(gallery, OWN_GALLERY, OwnSight(encoder), locator.location_encoder)
    offers = (
        Offer(p.key, p.read, (p.at.lat, p.at.lon), contributor=p.contributor) for p in truth.photos
    )
    report = Report()
    await build(offers, ingest, report, lambda _: progress())
    return tuple(Skipped(outcome.key, outcome.reason) for outcome in report.skipped)
