"""Photos offered to a gallery, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from geofix.engine.gallery.review import Flag
from geofix.errors import GeofixError, InvalidCoordinate


class Status(StrEnum):
    """What became of a photo offered to a gallery."""

    ADDED = "added"
    UPDATED = "updated"
    """It was there with another picture, position or description."""
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    """Skipped: the gallery holds the same file under another key."""
    REFUSED = "refused"
    """Skipped: the file or its position cannot be used."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo, and why."""

    key: str
    status: Status
    id: str = ""
    """Of the point; of the one that is there already, where this one is a duplicate."""
    reason: str = ""
    error: GeofixError | None = None
    """What refused it, where somebody wants to raise it."""
    holder: str = ""
    """Key of the photo that is there already, where this one is a duplicate."""
    flag: Flag | None = None
    """What is wrong with a photo that was skipped, where a review would say so of one kept."""


def refused(key: str, error: GeofixError) -> Outcome:
    """The outcome of a photo that cannot be used."""
    flag = Flag.SWAPPED if isinstance(error, Exchanged) else None
    return Outcome(key, Status.REFUSED, reason=str(error), error=error, flag=flag)


class Exchanged(InvalidCoordinate):
    """A latitude that can only be a longitude."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A photo offered to a gallery."""

    key: str
    """The source's own name of the photo, unique in the gallery."""
    read: Callable[[], bytes]
    """Its bytes; may raise OSError or GeofixError."""
    position: tuple[float, float] | None
    """lat, lon in degrees; None = where its EXIF says it was taken."""
    country: str = ""
    source: str = ""
    contributor: str = ""
    licence: str = ""
    captured_at: str = ""
    uri: str = ""
    thumbnail: bool | None = None
    """Whether a small picture of it is kept; None = as the gallery's photos are by default."""
    caption: str = ""
    """What the source says of the photo in words; galleries do not keep it."""
