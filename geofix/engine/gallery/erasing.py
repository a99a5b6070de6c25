"""Erasing a contributor: every byte of theirs in a gallery, and a receipt of it.

What is removed for good: points in the manifest, the log and the index of the version in use;
thumbnails; labelled photos; older versions and those being built, whole, where they hold any;
and the contributor's rows and thumbnails in every snapshot, which is written anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from geofix.engine.gallery import backups, canaries, snapshots, versions
from geofix.engine.gallery.ledger import LedgerView
from geofix.engine.gallery.versions import VersionState
from geofix.errors import InvalidOption, Unavailable

if TYPE_CHECKING:
    from geofix.engine.gallery.galleries import Galleries

LOCK = "reindex.lock"
"""Held by whoever builds a version of a gallery, or erases in one."""
STOP = "reindex.stop"
"""While this file is there, whoever builds a version stops."""
_STOPS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased, where and when. It is nowhere kept: it names the contributor."""

    gallery: str
    contributor: str
    photos: int
    """Of the version in use."""
    thumbnails: int
    labelled: int
    """Photos that served as canaries."""
    versions_removed: tuple[int, ...]
    """Older versions, and those being built, that held photos of theirs."""
    snapshots: tuple[str, ...]
    """Snapshots that held photos of theirs and were written anew without."""
    server: bool
    """Whether an index server holds the vectors: its own optimizer frees their bytes."""
    erased_at: str


async def erase(galleries: Galleries, name: str, contributor: str) -> Receipt:
    """Erase a contributor from a gallery; nothing of theirs is on the disk when it returns.

    Raises NotFound, InvalidOption for an empty name, and Unavailable while a re-index does not
    stop.
    """
    if not contributor:
        raise InvalidOption("Whose photos are to be erased? Name a contributor.")
    gallery = await galleries.open(name)
    folder = galleries.folder(name)
    with await asyncio.to_thread(_stopped, folder):
        ids = list(await gallery.ids_by("contributor", [contributor]))
        shown = await asyncio.to_thread(gallery.thumbnails.among, ids)
        await gallery.delete(ids)
        # Also what a process that ended left of photos that are not there any more.
        orphans = gallery.thumbnails.ids() - await asyncio.to_thread(gallery.ledger.ids)
        await asyncio.to_thread(gallery.thumbnails.remove, orphans)
        await gallery.renew_index()
        removed = []
        for card in galleries.versions(name):
            unfinished = card.state in (VersionState.BUILDING, VersionState.READY)
            if card.state is not VersionState.ACTIVE and (
                unfinished or await asyncio.to_thread(_holds, folder, card, contributor)
            ):
                await galleries.remove_version(name, card.version)
                removed.append(card.version)
        labelled = 0
        for card in galleries.versions(name):
            where = versions.folder(folder, card.version)
            await asyncio.to_thread(_sweep, where)
            labelled += await asyncio.to_thread(_strip_canaries, where, card.dimension, contributor)
        kept = await asyncio.to_thread(
            snapshots.erase, backups.folder(galleries, name), contributor, frozenset(ids)
        )
    return Receipt(
        gallery=name,
        contributor=contributor,
        photos=len(ids),
        thumbnails=len(shown),
        labelled=labelled,
        versions_removed=tuple(removed),
        snapshots=tuple(kept),
        server=galleries.on_server,
        erased_at=versions.now(),
    )


def _holds(gallery: Path, card: versions.VersionCard, contributor: str) -> bool:
    """Whether a version has, or may have, a byte of the contributor's.

    A log tells of points that were removed since, too; an index may still hold them.
    """
    ledger = LedgerView(versions.folder(gallery, card.version), card.dimension)
    return contributor in ledger.contributors() or ledger.log_bytes > 0


def _sweep(where: Path) -> None:
    """Remove what was being written when a process ended."""
    for left in where.glob("*.writing"):
        left.unlink()


def _strip_canaries(where: Path, dimension: int, contributor: str) -> int:
    held = canaries.read(where)
    kept = [point for point in held if point.contributor != contributor]
    if len(kept) < len(held):
        canaries.write(where, kept, dimension)
    return len(held) - len(kept)


@contextmanager
def _held(lock: FileLock, stop: Path) -> Iterator[None]:
    try:
        yield
    finally:
        stop.unlink(missing_ok=True)
        lock.release()


def _stopped(folder: Path) -> AbstractContextManager[None]:
    """Have whoever builds a version stop, and keep others from it. Raises Unavailable."""
    lock, stop = FileLock(folder / LOCK, thread_local=False), folder / STOP
    stop.touch()
    try:
        lock.acquire(timeout=_STOPS_WITHIN_S)
    except Timeout:
        stop.unlink(missing_ok=True)
        raise Unavailable(
            "The gallery is being re-indexed, and that does not stop. Try again in a minute."
        ) from None
    return _held(lock, stop)
