"""Labelled photos: those whose true position is known, from a table or from their EXIF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geofix.engine.gallery.ingest import Offer, Outcome
from geofix.engine.image import read_position
from geofix.errors import InvalidCoordinate, InvalidSource
from geofix.geo.coordinates import Coordinate
from indexer.galleries.sources import Defaults, open_source


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo and where it was really taken."""

    key: str
    """The source's name of it, as in a gallery built from the same source."""
    read: Callable[[], bytes]
    """Its bytes; may raise OSError."""
    at: Coordinate
    contributor: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo that cannot be measured, and why."""

    key: str
    cause: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What a table or folder holds, in the order of the keys."""

    photos: tuple[LabelledPhoto, ...]
    skipped: tuple[Skipped, ...]


def read_truth(photos: Path, truth: Path | None = None) -> Truth:
    """The labelled photos of the folder ``photos``.

    ``truth`` is a table as ``index build`` takes it (CSV or Parquet: file, lat, lon …), its files
    relative to ``photos``. Without one it is the ``index.csv`` or ``index.parquet`` in the folder,
    else the photos' EXIF. Skipped are rows without a legal position, photos named twice, and
    (0, 0), which stands for "unknown" in most tables. Raises :class:`InvalidSource` where nothing
    can be read.
    """
    if not photos.is_dir():
        raise InvalidSource(f"There is no folder {str(photos)!r}.")
    found: dict[str, LabelledPhoto] = {}
    skipped: list[Skipped] = []
    for offer in open_source(truth or photos, Defaults(), base=photos).offers:
        label = _label(offer)
        if isinstance(label, Skipped):
            skipped.append(label)
        elif label.key in found:
            skipped.append(Skipped(label.key, "named twice"))
        else:
            found[label.key] = label
    if not found:
        raise InvalidSource(f"No photo of {str(photos)!r} has a usable position.")
    return Truth(tuple(found[key] for key in sorted(found)), tuple(skipped))


def _label(offer: Offer | Outcome) -> LabelledPhoto | Skipped:
    if isinstance(offer, Outcome):
        return Skipped(offer.key, offer.reason)
    if offer.position == (0.0, 0.0):
        return Skipped(offer.key, "position is the placeholder (0, 0)")
    try:
        at = Coordinate(*offer.position) if offer.position else read_position(offer.read())
    except (InvalidCoordinate, OSError) as error:
        return Skipped(offer.key, str(error))
    if at is None:
        return Skipped(offer.key, "no position in EXIF")
    return LabelledPhoto(offer.key, offer.read, at, offer.contributor)
