"""Labelled photos as points that no gallery holds: canaries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from geofix.engine import image
from geofix.engine.gallery.offers import Offer, Outcome
from geofix.engine.gallery.records import point_id
from geofix.engine.gallery.revector import Revector
from geofix.engine.types import Point
from geofix.errors import GeofixError, InvalidCoordinate
from geofix.geo.coordinates import Coordinate
from geofix.settings import Settings

_NAMESPACE = "canaries"
_NOTHING = np.empty(0, dtype=np.float32)


def encoded(
    offers: Iterable[Offer | Outcome], encoder: str, settings: Settings
) -> tuple[list[Point], list[str]]:
    """The photos with the encoder's vectors, and what was skipped and why.

    Raises InvalidOption and ModelUnavailable for the encoder.
    """
    points, skipped = [], []
    for offer in offers:
        if isinstance(offer, Outcome):
            skipped.append(f"{offer.key}: {offer.reason}")
            continue
        try:
            points.append(_point(offer))
        except (GeofixError, OSError) as error:
            reason = str(error) if isinstance(error, GeofixError) else "It cannot be read."
            skipped.append(f"{offer.key}: {reason}")
    convert = Revector("", encoder, settings.data_dir, settings.threads)
    done = convert(points)
    skipped += [f"{key}: {reason}" for key, reason in convert.failures.items()]
    return done, skipped


def _point(offer: Offer) -> Point:
    data = offer.read()
    position = offer.position
    if position is None:
        found = image.read_position(data)
        if found is None:
            raise InvalidCoordinate("The photo has no usable GPS position in its EXIF data.")
        position = found.lat, found.lon
    place = Coordinate(*position)
    return Point(
        id=point_id(_NAMESPACE, offer.key),
        key=offer.key,
        lat=place.lat,
        lon=place.lon,
        image=_NOTHING,
        contributor=offer.contributor,
        licence=offer.licence,
        sha256=hashlib.sha256(data).hexdigest(),
        uri=offer.uri,
    )
