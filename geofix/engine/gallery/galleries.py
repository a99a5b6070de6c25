"""The galleries of a data directory, opened by name and kept open."""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from geofix.engine.gallery import versions
from geofix.engine.gallery.directory import DataDirectory, GalleryCard
from geofix.engine.gallery.durable import sync_directory
from geofix.engine.gallery.ledger import LedgerView
from geofix.engine.gallery.opening import Opener
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.swapping import Swap
from geofix.engine.gallery.versions import VersionCard, VersionState
from geofix.engine.types import GalleryInfo, Neighbour
from geofix.errors import Conflict, GeofixError, NotFound
from geofix.settings import Settings

log = logging.getLogger(__name__)

_OPERATORS = ("", "local")
"""Accounts of whoever works on the machine itself."""
_TIDY_S = 3600.0
_DRAIN_S = 60.0
"""How long searches that began on a version may still use it after another took its place."""


@dataclass(frozen=True, slots=True)
class _Draining:
    """A version that searches may still be using, and the task that closes it."""

    gallery: RecordedGallery
    task: asyncio.Task[None]


class Galleries:
    """Opens each gallery once. The process must own the data directory."""

    def __init__(
        self, directory: DataDirectory, settings: Settings, *, fills: bool = False
    ) -> None:
        """Who ``fills`` them has their indexes built when all is written, by ``optimize``."""
        self.directory = directory
        self._fills = fills
        self._settings = settings
        self.opener = Opener(settings)
        self._last_known: dict[str, GalleryInfo] = {}
        self._owners: dict[str, str] = {}
        self._open: dict[str, RecordedGallery] = {}
        self._opening = asyncio.Lock()
        self._swapping = asyncio.Lock()
        self._draining: dict[tuple[str, int], _Draining] = {}
        self._closing = asyncio.Event()

    def names(self) -> list[str]:
        """Names of the galleries, sorted."""
        return self.directory.names()

    def folder(self, name: str) -> Path:
        """Where a gallery of this name lies, or would. Raises InvalidOption for a bad name."""
        return self.directory.gallery(name)

    async def open(self, name: str) -> RecordedGallery:
        """The gallery of this name. Raises NotFound, and Unavailable for a damaged one."""
        if (held := self._open.get(name)) is not None:
            return held  # without the lock: another one's opening may take its time
        async with self._opening:
            if name not in self._open:
                self._open[name] = await self._opened(self.directory.card(name))
            return self._open[name]

    def opened(self) -> dict[str, RecordedGallery]:
        """The galleries that are open, by name."""
        return dict(self._open)

    async def thumbnail(self, neighbour: Neighbour) -> bytes | None:
        """The small picture of a photo, as a JPEG; None where none is kept."""
        gallery = await self.open(neighbour.gallery)
        return await asyncio.to_thread(gallery.thumbnails.read, neighbour.id)

    async def described(self, name: str) -> GalleryInfo:
        """A gallery that cannot be reached now, as it was last known. Raises NotFound."""
        if name not in self._last_known:
            card = self.directory.card(name)
            count = await asyncio.to_thread(self._recorded, card)
            self.remember(GalleryInfo(name, card.version, card.encoder, card.dimension, count))
        return self._last_known[name]

    def remember(self, info: GalleryInfo) -> None:
        """Keep what a gallery says of itself for when it cannot be reached."""
        self._last_known[info.name] = info

    async def create(
        self, name: str, encoder: str, dimension: int, *, owner: str = ""
    ) -> RecordedGallery:
        """The gallery of this name; an empty one, of this owner, when there is none.

        Raises Conflict when there is one of another encoder.
        """
        if name in self.names():
            card = self.directory.card(name)
            if (card.encoder, card.dimension) != (encoder, dimension):
                raise Conflict(
                    f"Gallery {name!r} holds vectors of {card.encoder!r}, not of {encoder!r}: "
                    "choose another name, or the model it was built with."
                )
        else:
            self.directory.gallery(name)  # refuses a bad name before anything is made
            first = VersionCard(1, encoder, dimension, created_at=versions.now())
            versions.write(self.directory.gallery(name), first)
            self.directory.write_card(GalleryCard(name, encoder, dimension, owner=owner))
        return await self.open(name)

    def require(self, name: str, account: str) -> None:
        """Raise NotFound for a gallery that is not there, or private and another account's."""
        if self._owner(name) not in ("", account) and account not in _OPERATORS:
            raise NotFound(f"There is no gallery {name!r}.")

    def mine(self, account: str) -> list[str]:
        """Names of the galleries that an account may use, sorted."""
        return [
            name
            for name in self.names()
            if account in _OPERATORS or self._owner(name) in ("", account)
        ]

    def _owner(self, name: str) -> str:
        if name not in self._owners:
            self._owners[name] = self.card(name).owner  # it never changes
        return self._owners[name]

    def card(self, name: str) -> GalleryCard:
        """What is fixed about a gallery, and which version is in use. Raises NotFound."""
        return self.directory.card(name)

    def versions(self, name: str) -> list[VersionCard]:
        """Every version of a gallery, oldest first. Raises NotFound."""
        return known_versions(self.directory, name)

    async def activate(
        self, name: str, version: int, *, allow_missing: bool = False
    ) -> VersionCard:
        """Let a version take the place of the one in use, and go back to it if that fails.

        Searches under way end on the version they began on. Raises NotFound; Conflict for one
        that is not fit to be used; CanariesFailed when it was taken back.
        """
        # Whoever asked may give up waiting; the swap is finished or taken back all the same.
        return await asyncio.shield(self._activate(name, version, allow_missing=allow_missing))

    async def _activate(self, name: str, version: int, *, allow_missing: bool) -> VersionCard:
        async with self._swapping:
            before = await self.open(name)
            swap = Swap(self.directory, self.opener, self._settings, self._open)
            draining = self._draining.pop((name, version), None)
            if draining is not None:
                draining.task.cancel()
            after = None if draining is None else draining.gallery
            replaced = self.card(name).version
            try:
                card = await swap.run(name, version, before, after, allow_missing=allow_missing)
            except BaseException:
                if after is not None:
                    self._drain(name, version, after)
                raise
            if replaced != version:
                self._drain(name, replaced, before)
            return card

    async def delete(self, name: str) -> None:
        """Remove a gallery with all it holds. Raises NotFound."""
        cards, opened_version = self.versions(name), self.card(name).version
        folder = self.folder(name)
        async with self._opening:
            gone = folder.with_name(f"~{name}-{uuid.uuid4().hex}")
            (folder / "gallery.json").unlink()
            folder.rename(gone)
            sync_directory(folder.parent)
            if (opened := self._open.pop(name, None)) is not None:
                self._drain(name, opened_version, opened)
            self._last_known.pop(name, None)
            self._owners.pop(name, None)
        for card in cards:
            await self.opener.remove(name, card)
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)

    @property
    def on_server(self) -> bool:
        """Whether a server keeps the indexes."""
        return bool(self._settings.qdrant_url)

    async def remove_version(self, name: str, version: int) -> None:
        """Remove a version that is not in use, when no search can be using it any more."""
        draining = self._draining.get((name, version))
        if draining is not None:
            await asyncio.shield(draining.task)
        for card in self.versions(name):
            if card.version == version:
                await self.opener.remove(name, card)
        await asyncio.to_thread(remove_version, self.folder(name), version)

    async def expire(self) -> None:
        """Remove versions that are out of use for longer than the grace period."""
        for name in self.names():
            for card in self.versions(name):
                over = card.state in (VersionState.RETIRED, VersionState.REJECTED) and card.ended_at
                if (name, card.version) in self._draining:
                    continue
                if over and versions.age_s(card.ended_at) > self._settings.version_grace_h * 3600.0:
                    await self.opener.remove(name, card)
                    await asyncio.to_thread(remove_version, self.folder(name), card.version)

    async def keep_tidy(self) -> None:
        """Remove what is out of use, now and every hour, and what was cut off before."""
        await asyncio.to_thread(self._sweep_deleted)
        while True:
            try:
                await self.expire()
            except (GeofixError, OSError) as error:
                log.warning("what is out of use was not removed: %s", type(error).__name__)
            await asyncio.sleep(_TIDY_S)

    def _sweep_deleted(self) -> None:
        for left in self.directory.path.glob("galleries/~*"):
            shutil.rmtree(left, ignore_errors=True)

    def _drain(self, name: str, version: int, gallery: RecordedGallery) -> None:
        """Close a version when no search can be using it any more."""

        async def close_later() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await self._closing.wait()
            self._draining.pop((name, version), None)
            try:
                await gallery.close()
            except Exception as error:  # its files may be gone, and Edge has no errors of its own
                log.warning("a gallery that is out of use was not closed: %s", type(error).__name__)

        self._draining[name, version] = _Draining(gallery, asyncio.create_task(close_later()))

    async def close(self) -> None:
        """Close what is open; the data directory stays owned."""
        async with self._opening:
            while self._open:
                _, gallery = self._open.popitem()
                await gallery.close()
            self._closing.set()
            await asyncio.gather(*(one.task for one in self._draining.values()))
            await self.opener.close()

    async def _opened(self, card: GalleryCard) -> RecordedGallery:
        folder = self.directory.gallery(card.name)
        version = version_card(folder, card)
        return await self.opener.open(
            folder, version, thumbnails=folder / "thumbnails", builds=self._fills
        )

    def _recorded(self, card: GalleryCard) -> int:
        where = versions.folder(self.directory.gallery(card.name), card.version)
        return len(LedgerView(where, card.dimension).ids())


def version_card(folder: Path, card: GalleryCard) -> VersionCard:
    """The card of the version in use; made where the gallery has none yet."""
    try:
        return versions.read(folder, card.version)
    except NotFound:
        made = VersionCard(card.version, card.encoder, card.dimension, created_at=versions.now())
        versions.write(folder, made)
        return made


def known_versions(directory: DataDirectory, name: str) -> list[VersionCard]:
    """Every version of a gallery, oldest first; the gallery's card says which one is in use.

    Raises NotFound.
    """
    active = directory.card(name).version

    def as_used(card: VersionCard) -> VersionCard:
        if card.version == active:
            return replace(card, state=VersionState.ACTIVE)
        # Cut off between the swap and the note of it.
        return (
            replace(card, state=VersionState.RETIRED) if card.state is VersionState.ACTIVE else card
        )

    return [as_used(card) for card in versions.read_all(directory.gallery(name))]


def remove_version(gallery: Path, version: int) -> None:
    """Remove a version's folder and its bridge: the card first, so that none is half there."""
    where = versions.folder(gallery, version)
    (where / versions.CARD).unlink(missing_ok=True)
    shutil.rmtree(where, ignore_errors=True)
    (gallery / f"bridge.v{version}.npz").unlink(missing_ok=True)
