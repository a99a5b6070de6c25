"""Small pictures of a gallery's photos, beside its ledger: they belong to every version of it.

They help people, and language models that take several pictures; nothing is found or placed by
them. A photo may have none, and losing one loses no photo.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from geofix.engine.gallery.durable import sync_directory, sync_file

SIDE = 256
"""Longest side, in pixels."""


class Thumbnails:
    """JPEG files by the photo's id; every method waits for the disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, photo_id: str) -> bytes | None:
        """The picture of a photo; None where none is kept."""
        try:
            return self._path(photo_id).read_bytes()
        except FileNotFoundError:
            return None

    def holds(self, photo_id: str) -> bool:
        """Whether a picture of the photo is kept."""
        return self._path(photo_id).exists()

    def among(self, photo_ids: Iterable[str]) -> frozenset[str]:
        """Those of the photos of which a picture is kept."""
        if not self._directory.exists():
            return frozenset()
        return frozenset(filter(self.holds, photo_ids))

    def ids(self) -> set[str]:
        """Every photo of which a picture is kept, or was being written."""
        return {path.stem for path in self._directory.glob("*/*") if path.is_file()}

    def write(self, photo_id: str, jpeg: bytes) -> None:
        """Keep a picture, in place of the one before; nobody ever reads half of one."""
        path = self._path(photo_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".writing")
        written.write_bytes(jpeg)
        sync_file(written)
        written.replace(path)

    def remove(self, photo_ids: Iterable[str]) -> None:
        """Keep the pictures of these photos no longer; gone from the disk when it returns."""
        changed = set()
        for path in map(self._path, photo_ids):
            for file in (path, path.with_suffix(".writing")):
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()
                    changed.add(path.parent)
        for folder in changed:
            sync_directory(folder)

    def _path(self, photo_id: str) -> Path:
        return self._directory / photo_id[:2] / f"{photo_id}.jpg"
