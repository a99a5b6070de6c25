"""How far the building of a version has come: noted by its builder, read by whoever is asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from geofix.engine.gallery import versions
from geofix.engine.gallery.durable import replace_text

FILE = "progress.json"
_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Points that a version holds of those it is to hold."""

    done: int
    total: int
    at: str
    """When that was noted, as ISO 8601 in UTC."""


_PROGRESS = TypeAdapter(Progress)


@dataclass(slots=True)
class Notes:
    """Notes the progress of one version, at most once a second and when all is done."""

    gallery: Path
    version: int
    _next: float = field(default=0.0, init=False)

    def note(self, done: int, total: int) -> None:
        """Replace the note before."""
        moment = time.monotonic()
        if moment < self._next and done < total:
            return
        self._next = moment + _EVERY_S
        progress = Progress(done, total, versions.now())
        where = versions.folder(self.gallery, self.version)
        replace_text(where / FILE, _PROGRESS.dump_json(progress).decode())


def read(gallery: Path, version: int) -> Progress | None:
    """The last note; None before there is one."""
    try:
        return _PROGRESS.validate_json((versions.folder(gallery, version) / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
