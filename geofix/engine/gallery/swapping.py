"""Letting one version of a gallery take the place of another while both are in use.

The moment of the swap is the replacement of the gallery's card on the disk. Before it the new
version is brought in step, the last part while writes wait; after it the canaries are searched
for, and where they fail the card is put back before a single write went to the new version.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from geofix.engine.gallery import canaries, versions
from geofix.engine.gallery.catching_up import Follower
from geofix.engine.gallery.directory import DataDirectory, GalleryCard
from geofix.engine.gallery.opening import Opener
from geofix.engine.gallery.recorded import RecordedGallery, Successor
from geofix.engine.gallery.revector import Revector
from geofix.engine.gallery.versions import VersionCard, VersionState
from geofix.errors import CanariesFailed, Conflict, GeofixError
from geofix.settings import Settings

_ROUNDS = 8
_NEARLY = 4
"""Mutations behind, with which writes may be made to wait for the rest."""


@dataclass(frozen=True, slots=True)
class Swap:
    """What a swap works with; ``held`` are the galleries in use, by name."""

    directory: DataDirectory
    opener: Opener
    settings: Settings
    held: dict[str, RecordedGallery]

    async def run(
        self,
        name: str,
        version: int,
        before: RecordedGallery,
        after: RecordedGallery | None = None,
        *,
        allow_missing: bool,
    ) -> VersionCard:
        """Activate a version, ``after`` where it is open; see ``Galleries.activate``."""
        folder = self.directory.gallery(name)
        old, new = self.directory.card(name), versions.read(folder, version)
        if version == old.version:
            return new
        if new.state not in (VersionState.READY, VersionState.RETIRED, VersionState.ACTIVE):
            raise Conflict(f"Version {version} is {new.state}: it cannot be used.")
        opened, after = after is not None, after or await self.opener.open(folder, new)
        try:
            convert = Revector(
                old.encoder, new.encoder, self.settings.data_dir, self.settings.threads
            )
            at = new.in_step if new.follows == old.version else None
            follower = Follower(before.ledger, after, convert, at)
            for _ in range(_ROUNDS):
                if await follower.catch_up() <= _NEARLY:
                    break
            async with before.paused():
                await follower.catch_up()
                if len(follower.missing) > new.missing and not allow_missing:
                    raise Conflict(
                        f"{len(follower.missing)} photos cannot be encoded again for version "
                        f"{version}, and would be missing."
                    )
                await self._swap(folder, old, new, before, after, Successor(after, convert))
        except BaseException:
            if not opened:
                await after.close()
            raise
        return versions.read(folder, version)

    async def _swap(
        self,
        folder: Path,
        old: GalleryCard,
        new: VersionCard,
        before: RecordedGallery,
        after: RecordedGallery,
        successor: Successor,
    ) -> None:
        labelled = [
            await asyncio.to_thread(canaries.read, versions.folder(folder, number))
            for number in (old.version, new.version)
        ]
        after.thumbnails = before.thumbnails
        card = replace(
            old,
            version=new.version,
            encoder=new.encoder,
            dimension=new.dimension,
            quantization=str(new.quantization),
        )
        try:
            await self.opener.point_alias(old.name, new.version)
            await self._use(card, after)
            reason = await canaries.fault(before, after, labelled[0], labelled[1])
        except Exception as error:  # whatever it is, the version must not stay
            reason = str(error) if isinstance(error, GeofixError) else "It cannot be searched."
        if reason:
            await self._use(old, before)
            rejected = replace(
                new, state=VersionState.REJECTED, ended_at=versions.now(), reason=reason
            )
            await asyncio.to_thread(versions.write, folder, rejected)
            await self.opener.point_alias(old.name, old.version)
            raise CanariesFailed(f"Version {new.version} was taken back. {reason}")
        after.succeeded_by(None)
        before.succeeded_by(successor)
        position = await asyncio.to_thread(lambda: after.ledger.position)
        active = replace(new, state=VersionState.ACTIVE, ended_at="", reason="", in_step=None)
        retired = replace(
            versions.read(folder, old.version),
            state=VersionState.RETIRED,
            ended_at=versions.now(),
            follows=new.version,
            in_step=position,
        )
        await asyncio.to_thread(versions.write, folder, active)
        await asyncio.to_thread(versions.write, folder, retired)

    async def _use(self, card: GalleryCard, gallery: RecordedGallery) -> None:
        """From here on the disk, and whoever asks, know this version."""
        await asyncio.to_thread(self.directory.write_card, card)
        self.held[card.name] = gallery
