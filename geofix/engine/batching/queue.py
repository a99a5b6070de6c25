"""Photos on their way through the model: admitted, decoded, gathered into batches.

One lock guards it all. A photo waits as the bytes it came in, in a line by lane, until decoders
take it; only as many photos are decoded ahead as the next runs of the model need.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from geofix.engine.batching.lanes import Lanes
from geofix.engine.types import Embedding, Float32Array, Lane, Photo
from geofix.engine.watching import Watcher
from geofix.errors import GeofixError, Overloaded

T = TypeVar("T")

DEFAULT_SIZE = 8
"""Photos in a full run where nobody has measured what is best."""
LEAST_PLACES = 32
"""Photos that may be on their way in one lane, however small the batches are."""
RUNS_AHEAD = 6
"""Full runs of the model that may be on their way in one lane."""
PATIENCE = 2.0
"""A photo is given up when it has waited this many times what may be waited at most."""
_LINGER = 0.5
"""Of a full run's time: how long a run waits for photos that are being decoded."""
SHORT_RUN_S = 0.03
"""A run of a batch job's photos takes no longer while persons are around."""
PERSONS_AROUND_S = 10.0
"""How long that is after the last one came."""
_MEMORY = 0.4
"""Weight of the newest observation of the pace."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the model is, and the batch that makes it so."""

    size: int
    """Photos in a full run."""
    run_s: float = 0.0
    """Of a full run, in seconds; 0 = not known."""

    @property
    def photo_s(self) -> float:
        """Of one photo in it, in seconds."""
        return self.run_s / self.size


@dataclass(eq=False, slots=True)
class Passing:
    """One photo on its way. Cancelling either wait takes it out of the line."""

    data: bytes
    lane: Lane
    arrived: float
    """Of ``time.monotonic``."""
    deadline: float
    decoded: Future[Photo] = field(default_factory=Future)
    encoded: Future[Embedding] = field(default_factory=Future)
    waited_s: float = 0.0
    """For a decoder and for the model, as far as these waits are over."""
    waits_since: float = field(init=False)
    """Of ``time.monotonic``: when the last of them began."""
    input: Float32Array | None = None
    """For the model: float32 [3, height, width]."""
    outcome: Embedding | GeofixError | None = None
    """What is to be told as soon as the photo is out of the books."""

    async def photo(self) -> Photo:
        """The decoded photo. Raises its InvalidPhoto, Overloaded after the deadline."""
        return await self._wait(self.decoded)

    async def embedding(self) -> Embedding:
        """What the model says of it; errors as of ``photo``, and ModelUnavailable."""
        return await self._wait(self.encoded)

    def __post_init__(self) -> None:
        self.waits_since = self.arrived

    def taken(self, now: float) -> None:
        """What it waited for has come."""
        self.waited_s += now - self.waits_since

    def tell(self, outcome: Embedding | GeofixError) -> None:
        """Let whoever waits know; what is told first holds."""
        if isinstance(outcome, GeofixError):
            for future in (self.decoded, self.encoded):
                with suppress(InvalidStateError):
                    future.set_exception(outcome)
        else:
            with suppress(InvalidStateError):
                self.encoded.set_result(outcome)

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.encoded.cancelled()

    async def _wait(self, future: Future[T]) -> T:
        left = max(0.0, self.deadline - time.monotonic())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), left)
        except TimeoutError:
            raise Overloaded("The photo waited longer than it may. Try again later.") from None
        finally:
            if not future.done() or future.cancelled():
                self.decoded.cancel()
                self.encoded.cancel()


class PhotoQueue:
    """The line, the decoders' photos and those ready for the model."""

    def __init__(
        self,
        pace: Pace,
        sessions: int,
        max_wait_s: Mapping[Lane, float],
        watch: Watcher,
        *,
        in_turn: bool = False,
    ) -> None:
        """``in_turn``: decoding waits for the model, which runs on the same cores."""
        self.pace = pace
        self._in_turn = in_turn
        self._watch = watch
        self._max_wait_s = max_wait_s
        self._sessions = sessions
        self._ahead = pace.size * (sessions + 1)
        self._places = max(LEAST_PLACES, RUNS_AHEAD * pace.size * sessions)
        self._photo_s = pace.photo_s / sessions
        self._line: Lanes[Passing] = Lanes()
        self._ready: Lanes[Passing] = Lanes()
        self._decoding: set[Passing] = set()
        self._running: set[Passing] = set()
        self._lock = threading.Lock()
        self._to_decode = {lane: threading.Condition(self._lock) for lane in Lane}
        self._to_encode = threading.Condition(self._lock)
        self._saturated_since: float | None = None
        self._last_person = -math.inf
        self._closed = False

    def admit(self, lane: Lane) -> None:
        """Raise Overloaded when a photo that came now would wait too long."""
        with self._lock:
            self._admit(lane)

    def put(self, data: bytes, lane: Lane, *, admitted: bool = False) -> Passing:
        """Let a photo wait. Raises Overloaded as ``admit`` does, unless it was ``admitted``."""
        now = time.monotonic()
        passing = Passing(data, lane, now, now + PATIENCE * self._max_wait_s[lane])
        with self._lock:
            if not admitted:
                self._admit(lane)
            if lane is Lane.INTERACTIVE:
                self._last_person = now
            self._line.put(passing, now)
            self._wake_decoders()
        return passing

    def next_to_decode(self, lane: Lane) -> Passing | None:
        """Wait for a photo of a lane to decode; None when the queue is closed."""
        with self._lock:
            while not self._closed:
                lanes = [lane] if self._may_decode(lane) else []
                passing = self._line.take(time.monotonic(), lanes)
                if passing is None:
                    self._to_decode[lane].wait()
                elif not _dropped(passing):
                    passing.taken(time.monotonic())
                    self._decoding.add(passing)
                    return passing
        return None

    def decoded(self, passing: Passing) -> None:
        """A decoder is done with a photo: it has an input for the model, or an error."""
        with self._lock:
            self._decoding.discard(passing)
            if passing.input is not None:
                passing.waits_since = time.monotonic()
                self._ready.put(passing, passing.waits_since)
            # A run that waits for more need not be told of each of them.
            first, full = len(self._ready) == 1, len(self._ready) >= self.pace.size
            if first or full or not self._worth_waiting():
                self._to_encode.notify()
        _tell([passing])

    def next_to_encode(self) -> list[Passing]:
        """Wait for the next batch; empty when the queue is closed.

        Greedy: a run starts when nothing more is on its way. Photos that are being decoded are
        waited for, as a larger batch is worth more than a few milliseconds.
        """
        with self._lock:
            start_by = math.inf
            while not self._closed:
                now = time.monotonic()
                if not self._ready:
                    start_by = math.inf
                    self._to_encode.wait()
                    continue
                start_by = min(start_by, now + _LINGER * self.pace.run_s)
                full = len(self._ready) >= self.pace.size
                if not full and self._worth_waiting() and now < start_by:
                    self._to_encode.wait(start_by - now)
                elif batch := self._take(now):
                    return batch
        return []

    def encoded(self, batch: Sequence[Passing], seconds: float) -> None:
        """A run is over; its photos have their embeddings or errors."""
        now = time.monotonic()
        self._watch.run(len(batch), seconds)
        for passing in batch:
            self._watch.waited(passing.waited_s)
        with self._lock:
            self._running.difference_update(batch)
            if self._saturated_since is not None:
                self._learn((now - self._saturated_since) / len(batch))
            elif len(batch) >= self.pace.size:
                self._learn(seconds / len(batch) / self._sessions)
            self._saturated_since = now if len(self._line) else None
            self._wake_decoders()
        _tell(batch)

    def depth(self, lane: Lane) -> int:
        """Photos of a lane that are waiting or being worked on."""
        with self._lock:
            return self._depth(lane)

    def running(self) -> int:
        """Photos that the model is running over."""
        with self._lock:
            return len(self._running)

    def age_s(self, lane: Lane) -> float:
        """How long the oldest photo of a lane has been here, in seconds; 0 without one."""
        with self._lock:
            arrived = [passing.arrived for passing in self._present() if passing.lane is lane]
        return time.monotonic() - min(arrived) if arrived else 0.0

    def expected_wait_s(self, lane: Lane) -> float:
        """How long a photo that came now would wait for its embedding, in seconds."""
        with self._lock:
            return self._expected_wait_s(lane)

    def close(self, error: GeofixError) -> None:
        """Let every thread go, and tell everybody who waits ``error``."""
        with self._lock:
            self._closed = True
            left = [*self._line.clear(), *self._ready.clear()]
            for waiting in self._to_decode.values():
                waiting.notify_all()
            self._to_encode.notify_all()
        for passing in left:
            passing.tell(error)

    def _learn(self, photo_s: float) -> None:
        self._photo_s += _MEMORY * (photo_s - self._photo_s)

    def _admit(self, lane: Lane) -> None:
        # How long the oldest waits is no estimate: it holds when the pace has just changed.
        wait = max(self._expected_wait_s(lane), self._longest_wait_s(lane))
        if self._depth(lane) >= self._places or wait > self._max_wait_s[lane]:
            self._watch.refused(lane)
            raise Overloaded(
                "More photos are waiting than can be answered in time. Try again later.",
                retry_after_s=max(1, math.ceil(wait)),
            )

    def _longest_wait_s(self, lane: Lane) -> float:
        """Of those whom the model has yet to take."""
        here = (p for p in self._present() if p.lane is lane and p not in self._running)
        now = time.monotonic()
        return now - min((p.arrived for p in here), default=now)

    def _expected_wait_s(self, lane: Lane) -> float:
        ahead = sum(
            lane is Lane.BATCH or passing.lane is lane or passing in self._running
            for passing in self._present()
        )
        return ahead * self._photo_s

    def _depth(self, lane: Lane) -> int:
        return sum(passing.lane is lane for passing in self._present())

    def _present(self) -> Iterator[Passing]:
        """Everybody but those in line whose clients are gone."""
        yield from self._decoding
        yield from self._running
        for waiting in (self._line, self._ready):
            yield from (passing for passing in waiting if not passing.given_up)

    def _may_decode(self, lane: Lane) -> bool:
        """Whether a decoder of this lane may take a photo now."""
        return self._ready.depth(lane) < self._ahead and not self._model_first(lane)

    def _wake_decoders(self) -> None:
        """Those who have something to do: every thread that wakes holds up the others."""
        for lane, waiting in self._to_decode.items():
            if self._line.depth(lane) and self._may_decode(lane):
                waiting.notify(self._line.depth(lane))

    def _model_first(self, lane: Lane) -> bool:
        """Whether photos of a lane wait for the run to end. Persons do not wait for a job's."""
        return self._in_turn and any(p.lane in (lane, Lane.INTERACTIVE) for p in self._running)

    def _run_size(self, lane: Lane, now: float) -> int:
        """Photos of a full run: fewer of a batch job while persons may come any moment."""
        alone = lane is Lane.INTERACTIVE or now - self._last_person >= PERSONS_AROUND_S
        if alone or not self.pace.photo_s:
            return self.pace.size
        return min(self.pace.size, max(1, int(SHORT_RUN_S / self.pace.photo_s)))

    def _worth_waiting(self) -> bool:
        """Whether more photos are on their way to this run; a person's waits for persons' only."""
        coming = [*self._decoding, *self._line]
        if self._ready.depth(Lane.INTERACTIVE):
            return any(passing.lane is Lane.INTERACTIVE for passing in coming)
        return bool(coming)

    def _take(self, now: float) -> list[Passing]:
        """The photos of the next run, one lane's. Persons do not wait for a batch to be filled."""
        batch: list[Passing] = []
        lanes: Collection[Lane] = tuple(Lane)
        size = 1
        while len(batch) < size and (passing := self._ready.take(now, lanes)) is not None:
            if not _dropped(passing):
                passing.taken(now)
                batch.append(passing)
                lanes, size = (passing.lane,), self._run_size(passing.lane, now)
        self._running.update(batch)
        self._wake_decoders()
        if self._ready:  # another session may run over what is left
            self._to_encode.notify()
        return batch


def _tell(passings: Sequence[Passing]) -> None:
    """After the books are closed, or a client's next photo would find its last one in them."""
    for passing in passings:
        if passing.outcome is not None:
            passing.tell(passing.outcome)


def _dropped(passing: Passing) -> bool:
    """Whether a photo is not worth any more work: its client is gone, or it is too late."""
    if passing.given_up:
        return True
    if time.monotonic() > passing.deadline:
        passing.tell(Overloaded("The photo waited longer than it may. Try again later."))
        return True
    return False
