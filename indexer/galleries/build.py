"""Filling a gallery from a source, batch by batch.

While one batch is encoded and written, the next ones are read and decoded. Memory holds three
batches whatever the size of the source. What was counted as added is on the disk: a run that was
cut off is repeated, and skips what is there.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol, TypeVar

from geofix.engine.gallery.offers import Offer, Outcome, Status
from geofix.engine.gallery.review import Finding

BATCH = 16
"""Photos encoded at once: enough for the processor, few enough to lose little."""
_AHEAD = 2
"""Batches prepared ahead: with one, decoders would idle while a batch is written."""
_LISTED = 10_000
"""Skipped photos that a report names one by one."""

P = TypeVar("P")


class Ingestor(Protocol[P]):
    """Something that takes photos into a gallery, in this process or in a service."""

    async def prepare(self, offers: Sequence[Offer]) -> P:
        """Read and check."""
        ...

    async def commit(self, batch: P) -> list[Outcome]:
        """Write what is new; an outcome for each offer, in order."""
        ...


@dataclass(slots=True)
class Report:
    """What became of a source's photos."""

    counts: Counter[Status] = field(default_factory=Counter)
    skipped: list[Outcome] = field(default_factory=list)
    """Duplicates and refusals with their reasons; the first 10 000."""
    findings: list[Finding] = field(default_factory=list)
    """What looks wrong among the source's photos, those that were skipped included."""

    _holders: set[str] = field(default_factory=set, repr=False)
    """Keys whose file came again at another place."""

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.counts[outcome.status] += 1
        if outcome.status in (Status.DUPLICATE, Status.REFUSED) and len(self.skipped) < _LISTED:
            self.skipped.append(outcome)
        if outcome.flag is not None:
            self.findings.append(Finding(outcome.id, outcome.key, outcome.flag, outcome.reason))
            if outcome.holder and outcome.holder not in self._holders:
                self._holders.add(outcome.holder)
                reason = f"The same file as {outcome.key}, which lies elsewhere."
                self.findings.append(Finding(outcome.id, outcome.holder, outcome.flag, reason))

    @property
    def usable(self) -> int:
        """Photos of the source that the gallery now holds under their own key."""
        return sum(self.counts[s] for s in (Status.ADDED, Status.UPDATED, Status.UNCHANGED))


async def build(
    offers: Iterable[Offer | Outcome],
    ingestor: Ingestor[P],
    report: Report,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> None:
    """Take every offer into a gallery; outcomes go to ``report`` and ``progress`` as they come.

    Raises what the ingestor raises; ``report`` then holds what was done until then.
    """

    def note(outcome: Outcome) -> None:
        report.add(outcome)
        progress(outcome)

    preparing: deque[asyncio.Task[P]] = deque()
    try:
        for batch in _batches(_once(offers, note), BATCH):
            preparing.append(asyncio.create_task(ingestor.prepare(batch)))
            if len(preparing) > _AHEAD:
                for outcome in await ingestor.commit(await preparing.popleft()):
                    note(outcome)
        while preparing:
            for outcome in await ingestor.commit(await preparing.popleft()):
                note(outcome)
    finally:
        for unneeded in preparing:
            unneeded.cancel()
        await asyncio.gather(*preparing, return_exceptions=True)


def _once(offers: Iterable[Offer | Outcome], note: Callable[[Outcome], None]) -> Iterator[Offer]:
    """The offers, without those whose key came before and those that are refused already."""
    seen: set[bytes] = set()
    for offer in offers:
        if isinstance(offer, Outcome):
            note(offer)
            continue
        name = blake2b(offer.key.encode(), digest_size=8).digest()
        if name in seen:
            reason = "The source has another photo with this key before it."
            note(Outcome(offer.key, Status.DUPLICATE, reason=reason))
            continue
        seen.add(name)
        yield offer


def _batches(offers: Iterator[Offer], size: int) -> Iterator[list[Offer]]:
    batch: list[Offer] = []
    for offer in offers:
        batch.append(offer)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
