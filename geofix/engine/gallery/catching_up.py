"""Bringing one version of a gallery in step with another that is being written to.

The version in use is the source. Its ledger is read, never touched. A version that has followed
it up to a ``Position`` needs only what the log says after that; one that has not, or whose
source has a new manifest since, is compared with it point by point.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from geofix.engine.gallery.ledger import Delete, LedgerView, Position, Upsert
from geofix.engine.gallery.recorded import Convert, RecordedGallery
from geofix.engine.types import Point
from geofix.errors import Unavailable

BATCH = 64
"""Points converted and written at once."""
_TRIES = 20

Step = Callable[[int], Awaitable[None]]
"""Told how many points were done; may wait, to leave the machine to others, and may raise."""


async def _go_on(_: int) -> None:
    pass


@dataclass(slots=True)
class Follower:
    """A version that follows another one's ledger."""

    source: LedgerView
    target: RecordedGallery
    convert: Convert
    at: Position | None = None
    """Where it is; None = it must be compared first."""
    step: Step = _go_on
    missing: set[str] = field(default_factory=set)
    """Ids that could not be converted; the target does not hold them."""

    async def catch_up(self) -> int:
        """Apply what was recorded since; returns how many mutations or points that were."""
        if self.at is None or self.at.manifest != self.source.manifest_name:
            return await self._compare()
        return await self._follow(self.at)

    async def _follow(self, at: Position) -> int:
        done = 0
        tail = await asyncio.to_thread(lambda: list(self.source.mutations(at.offset)))
        for mutation, end in tail:
            if self.source.manifest_name != at.manifest:
                return done + await self._compare()  # the log was emptied under our eyes
            await self._apply(mutation)
            self.at = Position(at.manifest, end)
            done += 1
        return done

    async def _compare(self) -> int:
        """Make the target hold exactly what the source holds."""
        for _ in range(_TRIES):
            position = await asyncio.to_thread(lambda: self.source.position)
            wanted = await asyncio.to_thread(self.source.digests)
            if self.source.manifest_name != position.manifest:
                continue
            held = await asyncio.to_thread(self.target.ledger.digests)
            strays = [id_ for id_ in held if id_ not in wanted]
            await self._apply(Delete(tuple(strays)))
            done = len(strays)
            changed = {id_ for id_, digest in wanted.items() if held.get(id_) != digest}
            self.missing &= set(wanted)
            async for points in _selected(self.source, changed):
                await self._apply(Upsert(tuple(points)))
                done += len(points)
            if self.source.manifest_name == position.manifest:
                # Points that came while these were written are in both: to apply them again
                # changes nothing.
                self.at = position
                return done
        raise Unavailable("The gallery is rewritten again and again. Try when it is quieter.")

    async def _apply(self, mutation: Upsert | Delete) -> None:
        if isinstance(mutation, Delete):
            self.missing.difference_update(mutation.ids)
            await self.target.drop(mutation.ids)
            return
        for start in range(0, len(mutation.points), BATCH):
            batch = mutation.points[start : start + BATCH]
            ids = {point.id for point in batch}
            kept = await asyncio.to_thread(self.convert, batch)
            lost = ids - {point.id for point in kept}
            await self.target.hold(kept)
            await self.target.drop(sorted(lost))  # what it held of them is no longer true
            self.missing = (self.missing - ids) | lost
            await self.step(len(batch))


async def _selected(source: LedgerView, ids: set[str]) -> AsyncIterator[list[Point]]:
    """The points of these ids, in batches; the source is read in a thread."""
    if not ids:
        return
    pages = source.points()
    while (page := await asyncio.to_thread(next, pages, None)) is not None:
        chosen = [point for point in page if point.id in ids]
        if chosen:
            yield chosen
