"""What photos are compared with in location space: the same for all encoders that lead there."""

from __future__ import annotations

import threading

from geofix.engine import models
from geofix.engine.encoder import LocationEncoder
from geofix.engine.location.location_map import LocationMap
from geofix.engine.models import ModelCard
from geofix.settings import Settings


class Ground:
    """A location encoder and its map of the Earth, each made once, when it is first asked for."""

    def __init__(self, card: ModelCard, settings: Settings) -> None:
        """``card`` is of an image encoder that leads there."""
        self._card = card
        self._settings = settings
        self._loading, self._mapping = threading.Lock(), threading.Lock()
        self._encoder: LocationEncoder | None = None
        self._map: LocationMap | None = None

    def is_reached_by(self, card: ModelCard) -> bool:
        """Whether this image encoder leads there, too."""
        return card.location_model == self._card.location_model

    @property
    def encoder(self) -> LocationEncoder:
        """Encodes coordinates. Raises ModelUnavailable."""
        with self._loading:
            if self._encoder is None:
                card = models.location_card(self._card, self._settings.data_dir)
                self._encoder = LocationEncoder.load(card, self._settings.threads)
            return self._encoder

    @property
    def map(self) -> LocationMap:
        """The land, encoded. Waits for seconds the first time; raises ModelUnavailable."""
        with self._mapping:
            if self._map is None:
                self._map = LocationMap.build(self.encoder.encode)
            return self._map
