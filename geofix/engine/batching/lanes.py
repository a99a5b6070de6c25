"""Who is next: persons before batch jobs, and batch jobs never quite forgotten."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import Generic, Protocol, TypeVar

from geofix.engine.types import Lane

BATCH_TURN_S = 0.5
"""However many persons wait, one photo of a batch job has its turn this often."""


class HasLane(Protocol):
    """What can wait in a lane."""

    @property
    def lane(self) -> Lane: ...


T = TypeVar("T", bound=HasLane)


class Lanes(Generic[T]):
    """Two waiting lines. Not for several threads at once: the owner holds a lock."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, deque[T]] = {lane: deque() for lane in Lane}
        self._last_turn = 0.0

    def __len__(self) -> int:
        return sum(len(line) for line in self._waiting.values())

    def __iter__(self) -> Iterator[T]:
        for line in self._waiting.values():
            yield from line

    def depth(self, lane: Lane) -> int:
        """How many wait in one lane."""
        return len(self._waiting[lane])

    def put(self, entry: T, now: float) -> None:
        """Let ``entry`` wait at the end of its lane; ``now`` in seconds, as for ``take``."""
        line = self._waiting[entry.lane]
        if entry.lane is Lane.BATCH and not line:
            self._last_turn = now
        line.append(entry)

    def take(self, now: float, among: Collection[Lane] = tuple(Lane)) -> T | None:
        """The next entry of the lanes named; None when nobody waits there."""
        interactive = self._waiting[Lane.INTERACTIVE] if Lane.INTERACTIVE in among else None
        batch = self._waiting[Lane.BATCH] if Lane.BATCH in among else None
        if batch and (not interactive or now - self._last_turn >= BATCH_TURN_S):
            self._last_turn = now
            return batch.popleft()
        return interactive.popleft() if interactive else None

    def clear(self) -> list[T]:
        """Everyone who waited, in order."""
        entries = list(self)
        for line in self._waiting.values():
            line.clear()
        return entries
