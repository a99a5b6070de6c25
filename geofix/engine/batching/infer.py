"""Threads that decode photos and run the model, and the one that watches over them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import InvalidStateError
from contextlib import suppress

from geofix.engine import image
from geofix.engine.batching.queue import Pace, Passing, PhotoQueue
from geofix.engine.courtesy import Courtesy
from geofix.engine.encoder import Encoder, reference_picture
from geofix.engine.session import LARGEST_BATCH
from geofix.engine.types import Embedding, Float32Array, Lane
from geofix.errors import GeofixError, InvalidPhoto, ModelUnavailable, UnencodablePhoto

log = logging.getLogger(__name__)

LONGEST_RUN_S = 0.25
"""Somebody who comes alone waits for the run before: longer ones are not worth it."""
_ROUNDS = 3
_AS_QUICK = 1.05
_TOO_SLOW = 1.25
"""Times the quickest known, of a photo in a run: still as good, and no use in going on."""


def measure(encoder: Encoder, size: int = 0) -> Pace:
    """The batch that the model is quickest with, and how long a run of it takes.

    That is the largest one that is as quick a photo as any, within what a run may take. ``size``
    fixes it.
    """
    photo = encoder.prepare(reference_picture())
    if size:
        return Pace(size, _run_s(encoder, photo, size))
    paces = [Pace(1, _run_s(encoder, photo, 1))]
    quickest = paces[0].photo_s
    while paces[-1].size < LARGEST_BATCH and 2 * paces[-1].run_s <= LONGEST_RUN_S:
        doubled = 2 * paces[-1].size
        paces.append(Pace(doubled, _run_s(encoder, photo, doubled)))
        quickest = min(quickest, paces[-1].photo_s)
        if paces[-1].photo_s > _TOO_SLOW * quickest:
            break
    return max(
        (pace for pace in paces if pace.photo_s <= _AS_QUICK * quickest),
        key=lambda pace: pace.size,
    )


def _run_s(encoder: Encoder, photo: Float32Array, size: int) -> float:
    """Of a batch of ``size``, in seconds: the quickest of several runs.

    On a processor, the work that its cores do: what else the machine is busy with does not count.
    """
    encoder.run([photo] * size)
    clock, cores = time.perf_counter, 1
    if not encoder.on_gpu:
        clock, cores = time.process_time, encoder.threads
    times = []
    for _ in range(_ROUNDS):
        started = clock()
        encoder.run([photo] * size)
        times.append(clock() - started)
    return min(times) / cores


class Decoder:
    """Takes photos of one lane out of the line and decodes and resizes them, each alone.

    One for each lane, as a photo of a batch job may pause, and its decoder with it.
    """

    def __init__(self, queue: PhotoQueue, encoder: Encoder, lane: Lane, courtesy: Courtesy) -> None:
        self.name = f"{lane} decoder"
        self._queue = queue
        self._encoder = encoder
        self._lane = lane
        self._courtesy = courtesy

    def take(self) -> Sequence[Passing]:
        """Wait for the next photo; empty at the end."""
        passing = self._queue.next_to_decode(self._lane)
        return [passing] if passing else []

    def work(self, taken: Sequence[Passing]) -> None:
        """Decode them."""
        for passing in taken:
            pause = self._courtesy.pause(passing.lane)
            try:
                photo = image.decode(passing.data, target=self._encoder.decode_target, pause=pause)
                passing.input = self._encoder.prepare(photo)
                with suppress(InvalidStateError):
                    passing.decoded.set_result(photo)
            except InvalidPhoto as error:
                passing.outcome = error
            except Exception:
                log.exception("a photo could not be prepared")
                passing.outcome = GeofixError("The photo could not be prepared.")

    def leave(self, taken: Sequence[Passing], seconds: float) -> None:
        """They are decoded, or never will be."""
        for passing in taken:
            self._queue.decoded(passing)

    def recover(self, *, reopen: bool) -> None:
        """Nothing a decoder needs can break."""


class Inference:
    """Runs the model over batches; a photo that it cannot encode costs only itself."""

    name = "inference"

    def __init__(self, queue: PhotoQueue, encoder: Encoder, reload: Callable[[], Encoder]) -> None:
        self._queue = queue
        self._encoder = encoder
        self._reload = reload

    def take(self) -> Sequence[Passing]:
        """Wait for the next batch; empty at the end."""
        return self._queue.next_to_encode()

    def work(self, taken: Sequence[Passing]) -> None:
        """Encode them. Raises what the model raises when it cannot encode anything."""
        inputs = [passing.input for passing in taken if passing.input is not None]
        try:
            found = self._encoder.run(inputs)
        except Exception:
            log.exception("a run of %d photos failed; each is run alone", len(inputs))
            found = [self._alone(one) for one in inputs]
        if None in found:
            self._encoder.warm_up()  # is it the photo, or the model?
        for passing, embedding in zip(taken, found, strict=True):
            passing.outcome = embedding or UnencodablePhoto(
                "The model gives no vector for this photo. Try another photo of the place."
            )

    def leave(self, taken: Sequence[Passing], seconds: float) -> None:
        """The run is over."""
        self._queue.encoded(taken, seconds)

    def recover(self, *, reopen: bool) -> None:
        """See that the model works, opened anew if need be. Raises what the model raises."""
        try:
            if not reopen:
                self._encoder.warm_up()
                return
        except Exception:
            log.exception("the model is opened anew")
        self._encoder = self._reload()
        self._encoder.warm_up()

    def _alone(self, one: Float32Array) -> Embedding | None:
        try:
            return self._encoder.run([one])[0]
        except Exception:  # whether it is the photo's fault is asked of the model afterwards
            return None


Job = Decoder | Inference


class Worker:
    """One thread and what it is working on."""

    def __init__(self, job: Job, stalled_s: float) -> None:
        self.job = job
        self.hung = False
        """Whether it was abandoned because it did not come to an end."""
        self._stalled_s = stalled_s
        self._taken: Sequence[Passing] = ()
        self._since = 0.0
        self._abandoned = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._loop, name=job.name, daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the thread lives and is not stuck, or has ended as it should."""
        if self._abandoned.is_set():
            return False
        return self._ended or (self._thread.is_alive() and not self._stuck())

    def abandon(self) -> None:
        """Fail what the thread was working on; if it lives after all, let it end."""
        if self._abandoned.is_set():
            return
        self.hung = self._stuck()
        self._abandoned.set()
        error = ModelUnavailable("Work on the photo broke off. Send it again.", retry_after_s=1)
        for passing in self._taken:
            passing.input = None
            passing.outcome = passing.outcome or error
        self.job.leave(self._taken, time.monotonic() - self._since)

    def _stuck(self) -> bool:
        return bool(self._taken) and time.monotonic() - self._since > self._stalled_s

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _loop(self) -> None:
        while not self._abandoned.is_set():
            self._since = time.monotonic()
            self._taken = self.job.take()
            if not self._taken:
                self._ended = True
                return
            self._since = time.monotonic()
            try:
                self.job.work(self._taken)
            except Exception:
                log.exception("a thread of the %s ends", self.job.name)
                return
            if self._abandoned.is_set():
                return
            self.job.leave(self._taken, time.monotonic() - self._since)
            self._taken = ()
