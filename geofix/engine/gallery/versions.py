"""The versions of a gallery, each in its own folder with a card of its own.

A folder ``v<number>`` holds the version's card, its ledger (manifest and mutation log) and, where
the index is embedded, the index. Thumbnails belong to all versions and lie beside the folders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from geofix.engine.gallery.durable import replace_text
from geofix.engine.gallery.ledger import Position
from geofix.engine.gallery.port import Quantization
from geofix.errors import NotFound, Unavailable

CARD = "version.json"
INDEX = "index"
_FOLDER = re.compile(r"v([1-9][0-9]{0,8})")


class VersionState(StrEnum):
    """Where a version is in its life."""

    BUILDING = "building"
    """The re-index alone may open it."""
    READY = "ready"
    """Built and validated: it can take the place of the one in use."""
    ACTIVE = "active"
    """What is searched and written to."""
    RETIRED = "retired"
    """Was in use; kept for a while, to go back to."""
    REJECTED = "rejected"
    """Did not pass its validation."""


@dataclass(frozen=True, slots=True)
class VersionCard:
    """What is known of one version."""

    version: int
    encoder: str
    dimension: int
    quantization: Quantization = Quantization.INT8
    state: VersionState = VersionState.ACTIVE
    created_at: str = ""
    ended_at: str = ""
    """When it was retired or rejected."""
    reason: str = ""
    """Why it was rejected or taken back."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What its validation measured."""
    follows: int = 0
    """The version whose ledger it was brought in step with, at ``in_step``."""
    in_step: Position | None = None
    missing: int = 0
    """Photos of that version that could not be encoded again."""


_CARD = TypeAdapter(VersionCard)


def folder(gallery: Path, version: int) -> Path:
    """Where a version lies, or would."""
    return gallery / f"v{version}"


def read(gallery: Path, version: int) -> VersionCard:
    """A version's card. Raises NotFound, and Unavailable for a damaged one."""
    path = folder(gallery, version) / CARD
    try:
        return _CARD.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"Gallery {gallery.name!r} has no version {version}.") from None
    except ValidationError as error:
        raise Unavailable(f"The card of version {version} is damaged: restore it.") from error


def write(gallery: Path, card: VersionCard) -> None:
    """Make the version's folder and its card, or replace the card."""
    where = folder(gallery, card.version)
    where.mkdir(parents=True, exist_ok=True)
    replace_text(where / CARD, dump(card))


def dump(card: VersionCard) -> str:
    """A card as its file says it."""
    return _CARD.dump_json(card, indent=2).decode()


def load(data: bytes) -> VersionCard:
    """A card from its file. Raises ValueError."""
    return _CARD.validate_json(data)


def read_all(gallery: Path) -> list[VersionCard]:
    """The cards of all versions, oldest first."""
    if not gallery.is_dir():
        return []
    found = (_FOLDER.fullmatch(path.name) for path in gallery.iterdir())
    numbers = sorted(int(match[1]) for match in found if match)
    return [read(gallery, n) for n in numbers if (folder(gallery, n) / CARD).exists()]


def now() -> str:
    """The present moment, to the second, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def age_s(moment: str) -> float:
    """Seconds since a moment that ``now`` gave."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
