"""The data directory: who owns it, and which galleries lie in it.

One process owns a data directory at a time. The lock is the operating system's, so it is free
again when its holder ends, however it ends; what the holder is lies in a file beside it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from geofix.engine.gallery.durable import replace_text
from geofix.errors import Conflict, DataDirectoryBusy, InvalidOption, NotFound

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SCHEMA = 1
"""How data directories are written. Raised when something in them can no longer be read by the
version before; what older versions wrote is read still (tests/upgrade)."""
SCHEMA_FILE = "schema.json"
_WAIT_S = 1.0
"""Somebody who only asks for the owner holds the lock for a moment too."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a data directory."""

    pid: int
    command: str
    """What it is doing, for people: ``geofix serve``."""
    address: str = ""
    """Where it answers over HTTP, when it is the service."""


@dataclass(frozen=True, slots=True)
class GalleryCard:
    """What is fixed about a gallery: the file ``gallery.json``."""

    name: str
    encoder: str
    dimension: int
    version: int = 1
    """The version in use."""
    quantization: str = "int8"
    owner: str = ""
    """Account of the one caller who may use it; empty = everybody who may use galleries."""


def gallery_name(name: str) -> str:
    """``name``, if a gallery may be called so. Raises InvalidOption."""
    if not _NAME.fullmatch(name):
        raise InvalidOption(
            f"{name[:80]!r} is no name for a gallery: use up to 63 of a-z, 0-9, - and _, "
            "beginning with a letter or a digit."
        )
    return name


def require_schema(text: bytes) -> None:
    """Raise Conflict where ``schema.json`` is that of a newer Geofix, or damaged."""
    try:
        schema = int(json.loads(text)["schema"])
    except (ValueError, TypeError, KeyError):
        raise Conflict(f"The file {SCHEMA_FILE} of the data is damaged. Restore it.") from None
    if schema > SCHEMA:
        raise Conflict(
            f"The data was written by a newer Geofix (schema {schema}; this one knows {SCHEMA}). "
            "Install that one again, or restore a backup from before the upgrade."
        )


class DataDirectory:
    """One data directory. Use it as a context manager, or call acquire and release."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / "owner.lock", thread_local=False)

    def acquire(self, command: str, address: str = "", *, wait_s: float = _WAIT_S) -> None:
        """Become the owner.

        Raises DataDirectoryBusy, which says who is, and Conflict for the data of a newer Geofix.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=wait_s, poll_interval=0.05)
        except Timeout:
            raise DataDirectoryBusy(_busy(self._written_owner())) from None
        try:
            self._take_schema()
        except BaseException:
            self._lock.release()
            raise
        self._write_owner(Owner(os.getpid(), command, address))

    @property
    def is_used(self) -> bool:
        """Whether any process has ever owned it."""
        return Path(self._lock.lock_file).exists()

    def announce(self, address: str) -> None:
        """Say where the service of this process answers."""
        owner = self._written_owner()
        if not self._lock.is_locked or owner is None:
            raise Conflict("Only the owner of the data directory can say where it answers.")
        self._write_owner(Owner(owner.pid, owner.command, address))

    def release(self) -> None:
        """Stop being the owner; nothing happens when this is not the owner."""
        if self._lock.is_locked:
            self._owner_file.unlink(missing_ok=True)
            self._lock.release()

    def owner(self) -> Owner | None:
        """Who holds the directory now, None when nobody does."""
        if not self.path.exists():
            return None
        if self._lock.is_locked:
            return self._written_owner()
        try:
            with self._lock.acquire(timeout=0):
                return None
        except Timeout:
            return self._written_owner()

    def names(self) -> list[str]:
        """Names of the galleries, sorted."""
        return sorted(path.parent.name for path in self.path.glob("galleries/*/gallery.json"))

    def gallery(self, name: str) -> Path:
        """Where a gallery of this name lies, or would. Raises InvalidOption for a bad name."""
        return self.path / "galleries" / gallery_name(name)

    def card(self, name: str) -> GalleryCard:
        """What is fixed about a gallery. Raises NotFound."""
        path = self.gallery(name) / "gallery.json"
        if not path.exists():
            known = ", ".join(self.names()) or "none yet"
            raise NotFound(f"There is no gallery {name!r}; there are: {known}.")
        return GalleryCard(**json.loads(path.read_text("utf-8")))

    def write_card(self, card: GalleryCard) -> None:
        """Make the gallery's folder and its card, or replace the card."""
        directory = self.gallery(card.name)
        directory.mkdir(parents=True, exist_ok=True)
        replace_text(directory / "gallery.json", json.dumps(asdict(card), indent=2))

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _take_schema(self) -> None:
        file = self.path / SCHEMA_FILE
        if file.exists():
            require_schema(file.read_bytes())
        else:
            replace_text(file, json.dumps({"schema": SCHEMA}))

    @property
    def _owner_file(self) -> Path:
        return self.path / "owner.json"

    def _write_owner(self, owner: Owner) -> None:
        replace_text(self._owner_file, json.dumps(asdict(owner)))

    def _written_owner(self) -> Owner | None:
        try:
            return Owner(**json.loads(self._owner_file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def _busy(owner: Owner | None) -> str:
    if owner is None:
        return "Another process holds the data directory. Wait for it to end, or stop it."
    holder = f"`{owner.command}` (process {owner.pid})"
    if owner.address:
        return f"The data directory is held by {holder}, which answers at {owner.address}."
    return f"The data directory is held by {holder}. Wait for it to end, or stop it."
