"""Vectors of another encoder for points that a gallery holds: from their photos or positions."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from geofix.engine import image, models
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.gallery.photo_uris import read_uri
from geofix.engine.gallery.records import GPS_DIMENSION
from geofix.engine.models import Kind, ModelCard
from geofix.engine.session import Session
from geofix.engine.types import Photo, Point
from geofix.errors import GeofixError, InvalidOption, UnreadablePhoto

log = logging.getLogger(__name__)

_BATCH = 16


def encoder_card(name: str, data_dir: Path) -> ModelCard:
    """The card of a model that can fill a gallery: of photos, or of coordinates.

    Raises InvalidOption, which names those there are.
    """
    known = models.manifest(data_dir)
    usable = {n: c for n, c in known.items() if c.kind in (Kind.IMAGE, Kind.LOCATION)}
    if name not in usable:
        raise InvalidOption(
            f"There is no model {name!r} to fill a gallery with; there are "
            f"{', '.join(sorted(usable))}."
        )
    return usable[name]


def dimension_of(card: ModelCard) -> int:
    """Length of the vectors that a model fills a gallery with."""
    return card.outputs["location" if card.kind is Kind.LOCATION else "embedding"]


class Revector:
    """Converts points of any encoder to those of one; loads it when the first point needs it.

    Photos are read again from their ``uri`` and must be the same files: whoever named an address
    learns nothing of what lies there unless they had it before.
    """

    def __init__(self, before: str, after: str, data_dir: Path, threads: int = 0) -> None:
        """``before`` and ``after`` name encoders; the same name keeps the vectors."""
        self._same = before == after
        self._after = after
        self._data_dir = data_dir
        self._threads = threads
        self._before = before
        self.failures: dict[str, str] = {}
        """Why points were left out, by key; the first hundred."""

    def __call__(self, points: Sequence[Point]) -> list[Point]:
        """The points with new vectors; those whose photo is not to be had are left out.

        Raises InvalidOption and ModelUnavailable for the encoder.
        """
        if self._same or not points:
            return list(points)
        if self._card.kind is Kind.LOCATION:
            return self._located(points)
        done: list[Point] = []
        for start in range(0, len(points), _BATCH):
            done += self._seen(points[start : start + _BATCH])
        return done

    @cached_property
    def _card(self) -> ModelCard:
        return encoder_card(self._after, self._data_dir)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder.load(self._card, self._threads)

    @cached_property
    def _positions(self) -> LocationEncoder:
        """Of the vectors a location gallery is searched with."""
        return LocationEncoder(self._card, Session.open(self._card, self._threads))

    @cached_property
    def _gps(self) -> LocationEncoder | None:
        """Of the vectors kept beside a photo's own; None where both encoders share it."""
        wanted = models.location_card(self._card, self._data_dir)
        known = models.manifest(self._data_dir).get(self._before)
        if known is not None and known.kind is Kind.IMAGE:
            held = models.location_card(known, self._data_dir)
            if held.sha256 == wanted.sha256:
                return None
        return LocationEncoder.load(wanted, self._threads)

    def _located(self, points: Sequence[Point]) -> list[Point]:
        vectors = self._positions.encode(_latlon(points))
        fits = vectors.shape[1] == GPS_DIMENSION
        return [
            replace(point, image=vector, gps=vector if fits else point.gps)
            for point, vector in zip(points, vectors, strict=True)
        ]

    def _seen(self, points: Sequence[Point]) -> list[Point]:
        pairs = [(point, photo) for point in points if (photo := self._read(point)) is not None]
        if not pairs:
            return []
        kept = [point for point, _ in pairs]
        embeddings = self._encoder.encode([photo for _, photo in pairs])
        images = [replace(p, image=e.vector) for p, e in zip(kept, embeddings, strict=True)]
        bare = [point.gps is None for point in images]
        if self._gps is None and not any(bare):
            return images
        encode = self._gps or LocationEncoder.load(
            models.location_card(self._card, self._data_dir), self._threads
        )
        gps = encode.encode(_latlon(images))
        return [replace(point, gps=vector) for point, vector in zip(images, gps, strict=True)]

    def _read(self, point: Point) -> Photo | None:
        try:
            data = read_uri(point.uri)
            if point.sha256 and hashlib.sha256(data).hexdigest() != point.sha256:
                raise UnreadablePhoto("Another file lies at its address now.")
            return image.decode(data, target=self._encoder.decode_target)
        except (GeofixError, OSError) as error:
            reason = str(error) if isinstance(error, GeofixError) else "It cannot be read."
            if len(self.failures) < 100:
                self.failures[point.key] = reason
            return None


def _latlon(points: Sequence[Point]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([(point.lat, point.lon) for point in points], dtype=np.float64).reshape(-1, 2)
