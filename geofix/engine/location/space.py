"""Photos and places in location space, where a photo can be compared with any place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from geofix.engine.choosing import verify
from geofix.engine.choosing.calibrations import Calibrations
from geofix.engine.choosing.scorer import Figures, Scorer
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.location import bridge
from geofix.engine.location.bridge import Bridge
from geofix.engine.location.bridges import Bridges
from geofix.engine.location.expectation import Expectation
from geofix.engine.location.ground import Ground
from geofix.engine.location.location_map import LocationMap
from geofix.engine.models import ModelCard
from geofix.engine.retrieval import Searched
from geofix.engine.types import Embedding, Float32Array, Float64Array, GalleryInfo
from geofix.settings import Settings


class LocationSpace:
    """The way there from one encoder: its own head, or a bridge that a gallery taught."""

    def __init__(
        self,
        card: ModelCard,
        galleries: Galleries,
        ground: Ground,
        calibrations: Calibrations,
        *,
        keeps_up: bool = False,
    ) -> None:
        """``keeps_up``: galleries grow while this process runs, and their bridges with them."""
        self._card = card
        self.ground = ground
        self._calibrations = calibrations
        self._keeps_up = keeps_up and not card.aligned
        self._expected = Expectation()
        self._bridges = Bridges(galleries, card.name, lambda: self.map)

    @classmethod
    def open(
        cls,
        card: ModelCard,
        galleries: Galleries,
        settings: Settings,
        *,
        calibrated: bool,
        keeps_up: bool,
        beside: LocationSpace | None = None,
    ) -> LocationSpace:
        """With the operators' calibrations, if ``calibrated``. Raises ModelUnavailable.

        ``beside`` is the way there from another encoder, which may lead to the same ground.
        """
        held = Calibrations()
        if calibrated:
            held = Calibrations.load(settings.data_dir, card.name)
        if beside is not None and beside.ground.is_reached_by(card):
            ground = beside.ground
        else:
            ground = Ground(card, settings)
        return cls(card, galleries, ground, held, keeps_up=keeps_up)

    @property
    def encoder(self) -> LocationEncoder:
        """Encodes coordinates; loaded when it is first asked for."""
        return self.ground.encoder

    @property
    def map(self) -> LocationMap:
        """The Earth in location space, encoded when a photo is first seen there."""
        return self.ground.map

    def warm_up(self, gallery: str, version: int) -> None:
        """Do now, in seconds, what the first photo over a version of a gallery would wait for."""
        if self._card.aligned or self._bridges.lead_from(gallery, version):
            _ = self.map

    async def reaches(self, infos: Sequence[GalleryInfo]) -> bool:
        """Whether a photo can be seen there, searching these galleries."""
        return self._card.aligned or await self.bridge_of(infos) is not None

    async def look(
        self, embedding: Embedding, galleries: Sequence[Searched], infos: Sequence[GalleryInfo]
    ) -> tuple[verify.Look | None, Figures | None]:
        """The photo there, where a way leads there, and an operator's calibration that holds.

        Across a bridge no scorer weighs candidates: it would replace how much alike photos look,
        which is most of what an encoder that was never aligned can tell.
        """
        fitted = self._calibrations.of(infos)
        figures = fitted.figures if fitted is not None else None
        vector, crossing = embedding.location, None
        if vector is None:
            self.keep_up(infos)
            crossing = fitted.bridge if fitted is not None else await self.bridge_of(infos)
            if crossing is None:
                return None, figures
            vector = bridge.apply(crossing, embedding.vector)
        expected = await self._expected.places(galleries, infos)
        return await asyncio.to_thread(self._look, vector, expected, crossing, figures), figures

    def keep_up(self, infos: Sequence[GalleryInfo]) -> None:
        """Have the galleries' bridges fitted again, in the background, where they outgrew them."""
        if self._keeps_up:
            for info in infos:
                self._bridges.keep_up(info)

    async def bridge_of(self, infos: Sequence[GalleryInfo]) -> Bridge | None:
        """The bridge that scores these galleries; None where there is none that tells anything."""
        if self._card.aligned:
            return None
        found = await self._bridges.of(infos)
        return found if found is not None and found.weight else None

    async def close(self) -> None:
        """Leave what is being fitted."""
        await self._bridges.close()

    def _look(
        self,
        vector: Float32Array,
        expected: Float64Array,
        crossing: Bridge | None,
        figures: Figures | None,
    ) -> verify.Look:
        encode, around = self.encoder.encode, self.map
        if crossing is not None:
            return verify.Look.across(vector, encode, around, expected, crossing.weight)
        scorer = figures if isinstance(figures, Scorer) else None
        return verify.Look.at(vector, encode, around, expected, scorer)
