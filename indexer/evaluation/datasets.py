"""Labelled photos: those whose true position is known, from a table or from their EXIF."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geofix.engine.gallery.offers import Offer, Outcome
from geofix.engine.image import read_position
from geofix.errors import GeofixError, InvalidCoordinate, InvalidSource
from geofix.geo.coordinates import Coordinate
from indexer.galleries.sources import Defaults, open_source


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo and where it was really taken."""

    key: str
    """The source's name of it, as in a gallery built from the same source."""
    read: Callable[[], bytes]
    """Its bytes; may raise OSError or GeofixError."""
    at: Coordinate
    contributor: str = ""
    set: str = ""
    """Name of the set it belongs to."""


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
    offers = open_source(truth or photos, Defaults(), base=photos).offers
    return gathered(photos.resolve().name, (_label(offer) for offer in offers))


def gathered(name: str, labels: Iterable[LabelledPhoto | Skipped]) -> Truth:
    """The set called ``name``, in the order of its keys; the first of a key is kept.

    Raises InvalidSource where no photo is left.
    """
    found: dict[str, LabelledPhoto] = {}
    skipped: list[Skipped] = []
    for label in labels:
        if isinstance(label, Skipped):
            skipped.append(label)
        elif label.key in found:
            skipped.append(Skipped(label.key, "named twice"))
        else:
            found[label.key] = label
    if not found:
        raise InvalidSource(f"No photo of {name!r} has a usable position.")
    return Truth(tuple(_of_set(found[key], name) for key in sorted(found)), tuple(skipped))


def together(truths: Sequence[Truth]) -> Truth:
    """Several sets as one. Raises InvalidSource where two of them have a photo's key in common."""
    photos = [photo for truth in truths for photo in truth.photos]
    if len({photo.key for photo in photos}) < len(photos):
        raise InvalidSource("Two of the sets name photos alike: give their folders other names.")
    return Truth(tuple(photos), tuple(one for truth in truths for one in truth.skipped))


def position(lat: float, lon: float) -> Coordinate | str:
    """A truth's position, or why it is none."""
    if (lat, lon) == (0.0, 0.0):
        return "position is the placeholder (0, 0)"
    try:
        return Coordinate(lat, lon)
    except InvalidCoordinate as error:
        return str(error)


def failure(error: OSError | GeofixError) -> str:
    """Why a photo could not be read, without the path that the system's message holds."""
    if isinstance(error, OSError):
        return f"The file cannot be read: {error.strerror or type(error).__name__}."
    return str(error)


def _label(offer: Offer | Outcome) -> LabelledPhoto | Skipped:
    if isinstance(offer, Outcome):
        return Skipped(offer.key, offer.reason)
    try:
        at = position(*offer.position) if offer.position else read_position(offer.read())
    except (GeofixError, OSError) as error:
        return Skipped(offer.key, failure(error))
    if at is None:
        return Skipped(offer.key, "no position in EXIF")
    if isinstance(at, str):
        return Skipped(offer.key, at)
    return LabelledPhoto(offer.key, offer.read, at, offer.contributor)


def _of_set(photo: LabelledPhoto, name: str) -> LabelledPhoto:
    return LabelledPhoto(photo.key, photo.read, photo.at, photo.contributor, name)
