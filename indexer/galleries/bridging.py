"""The bridge of a version that is being built: it is there when the version is first searched."""

from __future__ import annotations

import logging
from pathlib import Path

from geofix.engine import models
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.location import bridge
from geofix.engine.location.bridge import FEWEST_POINTS
from geofix.engine.location.bridges import fit, sample
from geofix.engine.location.location_map import LocationMap
from geofix.engine.models import Kind
from geofix.errors import InvalidOption
from geofix.settings import Settings

log = logging.getLogger(__name__)


async def add_bridge(gallery: RecordedGallery, folder: Path, settings: Settings) -> None:
    """Fit the version's bridge into the gallery's folder, where its encoder needs one.

    None for fewer than 500 photos, or those of one contributor.
    """
    info = await gallery.info()
    card = models.manifest(settings.data_dir).get(info.encoder)
    if card is None or card.kind is not Kind.IMAGE or card.aligned or info.count < FEWEST_POINTS:
        return
    encoder = LocationEncoder.load(models.location_card(card, settings.data_dir), settings.threads)
    points = await sample(gallery)
    try:
        fitted = fit(info.encoder, points, info.count, LocationMap.build(encoder.encode))
    except InvalidOption as error:
        log.info("version %d of %s has no bridge: %s", info.version, info.name, error)
        return
    bridge.save(fitted, folder / f"bridge.v{info.version}.npz")
