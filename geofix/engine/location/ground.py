"""What photos are compared with in location space: the same for all encoders that lead there."""

from __future__ import annotations

import threading

from geofix.engine.encoder import LocationEncoder
from geofix.engine.location.location_map import LocationMap
from geofix.engine.models import ModelCard


class Ground:
    """A location encoder and its map of the Earth, each made once, when it is first asked for."""

    def __init__(self, card: ModelCard, threads: int) -> None:
        self.card = card
        self._threads = threads
        self._making = threading.RLock()
        self._encoder: LocationEncoder | None = None
        self._map: LocationMap | None = None

    @property
    def encoder(self) -> LocationEncoder:
        """Encodes coordinates. Raises ModelUnavailable."""
        with self._making:
            if self._encoder is None:
                self._encoder = LocationEncoder.load(self.card, self._threads)
            return self._encoder

    @property
    def map(self) -> LocationMap:
        """The land, encoded. Waits for seconds the first time; raises ModelUnavailable."""
        with self._making:
            if self._map is None:
                self._map = LocationMap.build(self.encoder.encode)
            return self._map
