"""Re-index: a new version of a gallery beside the one in use, which goes on taking photos.

The one who re-indexes owns the new version alone, and reads the ledger of the version in use.
Cut off at any moment, the same command goes on where it stopped: what the new version's ledger
holds is compared with what the old one's holds, and only the rest is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from geofix.engine.gallery import canaries, versions
from geofix.engine.gallery.catching_up import Follower
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.erasing import LOCK, STOP
from geofix.engine.gallery.galleries import known_versions, remove_version
from geofix.engine.gallery.ledger import LedgerView
from geofix.engine.gallery.opening import Opener
from geofix.engine.gallery.port import Quantization
from geofix.engine.gallery.progress import Notes
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.revector import Revector, dimension_of, encoder_card
from geofix.engine.gallery.versions import VersionCard, VersionState
from geofix.engine.types import Point
from geofix.errors import Conflict
from geofix.settings import Settings
from indexer.galleries.bridging import add_bridge
from indexer.galleries.gate import validate
from indexer.galleries.plan import Plan

_NEARLY = 16
"""Mutations behind, with which a version can be validated."""
_ROUNDS = 20
_STOPPED_S = 2.0
_ERASURE_S = 600.0

Progress = Callable[[int, int], None]
"""Points done, and how many there are."""


class _StoppedError(Exception):
    """Somebody erases: what has been built must go."""


class Reindex:
    """Builds and validates the next version of one gallery."""

    def __init__(
        self,
        directory: DataDirectory,
        settings: Settings,
        name: str,
        plan: Plan,
        progress: Progress = lambda _, __: None,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._name = name
        self._plan = plan
        self._progress = progress
        self._folder = directory.gallery(name)
        self._opener = Opener(settings)
        self._began = time.monotonic()

    async def run(self) -> VersionCard:
        """The new version, ready to be activated.

        Raises NotFound, InvalidOption for an unknown model, and Conflict while another process
        re-indexes the gallery or when the version does not pass its validation.
        """
        self._directory.card(self._name)
        wait_s = 0.0
        try:
            while True:
                with _alone(self._folder, wait_s):
                    try:
                        return await self._build(self._card())
                    except _StoppedError:
                        pass
                await asyncio.sleep(_STOPPED_S)  # for the one who erases to come in
                wait_s = _ERASURE_S
        finally:
            await self._opener.close()

    def _card(self) -> VersionCard:
        """A version of this plan that was begun before, or a new one; others are removed."""
        active = self._directory.card(self._name)
        model = self._plan.model or active.encoder
        dimension = active.dimension
        if model != active.encoder:
            dimension = dimension_of(encoder_card(model, self._settings.data_dir))
        known = known_versions(self._directory, self._name)
        wanted = VersionCard(
            version=max(card.version for card in known) + 1,
            encoder=model,
            dimension=dimension,
            quantization=self._plan.quantization or Quantization(active.quantization),
            state=VersionState.BUILDING,
            created_at=versions.now(),
            follows=active.version,
        )
        found = None
        for card in known:
            if card.state in (VersionState.BUILDING, VersionState.READY):
                if _same(card, wanted):
                    found = replace(card, state=VersionState.BUILDING)
                else:
                    remove_version(self._folder, card.version)
        versions.write(self._folder, found or wanted)
        return found or wanted

    async def _build(self, card: VersionCard) -> VersionCard:
        active = self._directory.card(self._name)
        where = versions.folder(self._folder, card.version)
        source = LedgerView(versions.folder(self._folder, active.version), active.dimension)
        target = await self._opener.open(self._folder, card, builds=True)
        data_dir, threads = self._settings.data_dir, self._settings.threads
        convert = Revector(active.encoder, card.encoder, data_dir, threads)
        pause = self._pause(source, target, Notes(self._folder, card.version))
        follower = Follower(source, target, convert, card.in_step, pause)
        try:
            await self._catch_up(follower)
            await target.optimize()
            await self._catch_up(follower)
            labelled = await asyncio.to_thread(self._labelled, active.version, where, convert, card)
            verdict = await validate(
                source, target, frozenset(follower.missing), self._plan.most_missing, labelled
            )
            if not verdict.reason:
                await add_bridge(target, self._folder, self._settings)
            await target.compact()
        finally:
            await target.close()
        if self._directory.card(self._name).version != active.version:
            raise Conflict("Another version was activated meanwhile: re-index that one.")
        done = replace(
            card,
            state=VersionState.REJECTED if verdict.reason else VersionState.READY,
            ended_at=versions.now() if verdict.reason else "",
            reason=verdict.reason,
            figures=verdict.figures,
            in_step=follower.at,
            missing=len(follower.missing),
        )
        await asyncio.to_thread(versions.write, self._folder, done)
        if verdict.reason:
            why = "".join(f" {key}: {text}" for key, text in list(convert.failures.items())[:3])
            raise Conflict(f"Version {card.version} is not used. {verdict.reason}{why}")
        return done

    async def _catch_up(self, follower: Follower) -> None:
        for _ in range(_ROUNDS):
            if await follower.catch_up() <= _NEARLY:
                return

    def _labelled(
        self, active: int, where: Path, convert: Revector, card: VersionCard
    ) -> tuple[list[Point], list[Point]]:
        """The labelled photos of the version in use, and as the new one encodes them."""
        old = canaries.read(versions.folder(self._folder, active))
        new = convert(old)
        if new:
            canaries.write(where, new, card.dimension)
        known = {point.id for point in new}
        return [point for point in old if point.id in known], new

    def _pause(
        self, source: LedgerView, target: RecordedGallery, notes: Notes
    ) -> Callable[[int], Awaitable[None]]:
        total, done = max(1, len(source.ids())), len(target.ledger.ids())
        notes.note(min(done, total), total)
        self._began = time.monotonic()

        async def pause(points: int) -> None:
            nonlocal done
            if (self._folder / STOP).exists():
                raise _StoppedError
            done += points
            notes.note(min(done, total), total)
            self._progress(min(done, total), total)
            worked = time.monotonic() - self._began
            await asyncio.sleep(worked * (1.0 / self._plan.pace - 1.0))
            self._began = time.monotonic()

        return pause


def _same(card: VersionCard, wanted: VersionCard) -> bool:
    return (card.encoder, card.dimension, card.quantization, card.follows) == (
        wanted.encoder,
        wanted.dimension,
        wanted.quantization,
        wanted.follows,
    )


@contextmanager
def _alone(folder: Path, wait_s: float) -> Iterator[None]:
    """Nobody else re-indexes this gallery, or erases in it. Raises Conflict."""
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise Conflict(f"Gallery {folder.name!r} is being re-indexed already.") from None
    try:
        (folder / STOP).unlink(missing_ok=True)
        yield
    finally:
        lock.release()
