"""The front of batching: photos go in, embeddings come out, threads that die are replaced."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from geofix.engine import models
from geofix.engine.batching.infer import Decoder, Inference, Job, Worker, measure
from geofix.engine.batching.queue import DEFAULT_SIZE, Pace, Passing, PhotoQueue
from geofix.engine.courtesy import Courtesy
from geofix.engine.encoder import Encoder
from geofix.engine.types import Lane
from geofix.engine.watching import Watcher
from geofix.errors import ModelUnavailable
from geofix.settings import Settings

log = logging.getLogger(__name__)

_WATCH_S = 0.2
_LONGEST_PAUSE_S = 30.0
_END_S = 5.0
_NOT_READY = "The model is not ready. Try again in a few seconds."


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator may set."""

    size: int = 0
    """Photos in a full run; 0 = measured when it warms up."""
    decoders: int = 0
    """Threads that decode, for each lane; 0 = one per core."""
    max_wait_s: dict[Lane, float] = field(
        default_factory=lambda: {Lane.INTERACTIVE: 5.0, Lane.BATCH: 60.0}
    )
    """Expected wait above which a photo is refused."""
    stalled_s: float = 60.0
    """A run or a decoding that takes longer is given up, and its thread with it."""


class Batcher:
    """Encoders of one model, on one device or several, behind one queue.

    ``encoder`` is the first of them, ``queue`` what is waiting.
    """

    def __init__(
        self,
        loads: Sequence[Callable[[], Encoder]],
        limits: Limits | None = None,
        *,
        warm: bool = False,
        watch: Watcher | None = None,
        courtesy: Courtesy | None = None,
    ) -> None:
        """``loads`` open the same model on each device, which are taken to be alike.

        With ``warm`` the pace is measured first. Batchers of one process share a ``courtesy``.
        Raises ModelUnavailable.
        """
        limits = limits or Limits()
        encoders = [load() for load in loads]
        self.encoder = encoders[0]
        if warm:
            pace = measure(self.encoder, limits.size)
            for encoder in encoders[1:]:
                encoder.warm_up()
        else:
            pace = Pace(limits.size or DEFAULT_SIZE)
        self.courtesy = courtesy or Courtesy()
        decoders = limits.decoders or os.cpu_count() or 1
        self.queue = PhotoQueue(
            pace,
            len(encoders),
            limits.max_wait_s,
            watch or Watcher(),
            # Two jobs on the same cores hold each other up: more so the fewer they are.
            in_turn=not self.encoder.on_gpu and len(encoders) == 1 and decoders <= pace.size,
        )
        jobs: list[Job] = [
            Decoder(self.queue, self.encoder, lane, self.courtesy)
            for lane in Lane
            for _ in range(decoders)
        ]
        jobs += [
            Inference(self.queue, encoder, load)
            for encoder, load in zip(encoders, loads, strict=True)
        ]
        self._stalled_s = limits.stalled_s
        self._workers = [Worker(job, limits.stalled_s) for job in jobs]
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._supervisor.start()

    @classmethod
    def open(
        cls,
        config: Settings,
        *,
        warm: bool,
        watch: Watcher | None = None,
        courtesy: Courtesy | None = None,
    ) -> Batcher:
        """The configured model on each of the configured devices. Raises ModelUnavailable."""
        card = models.find(config.model, config.data_dir)

        def load(device: str) -> Encoder:
            return Encoder.load(card, config.threads, device, fp16=config.fp16)

        limits = Limits(
            config.batch_size,
            config.decoders,
            {Lane.INTERACTIVE: config.max_wait_s, Lane.BATCH: config.batch_max_wait_s},
        )
        loads = [partial(load, device) for device in config.devices]
        return cls(loads, limits, warm=warm, watch=watch, courtesy=courtesy)

    @property
    def ready(self) -> bool:
        """Whether photos can be decoded and encoded now."""
        return not self._closing.is_set() and all(
            any(worker.healthy for worker in self._workers if worker.job.name == name)
            for name in {worker.job.name for worker in self._workers}
        )

    def admit(self, lane: Lane) -> None:
        """Raise Overloaded when a photo that came now would wait too long, ModelUnavailable."""
        if not self.ready:
            raise ModelUnavailable(_NOT_READY, retry_after_s=2)
        self.queue.admit(lane)

    def put(self, data: bytes, lane: Lane, *, admitted: bool = False) -> Passing:
        """Let a photo pass; errors as of ``admit``, unless it was ``admitted`` before."""
        if not self.ready:
            raise ModelUnavailable(_NOT_READY, retry_after_s=2)
        return self.queue.put(data, lane, admitted=admitted)

    def close(self) -> None:
        """Fail what waits and end the threads."""
        self._closing.set()
        self.queue.close(ModelUnavailable("The service is going down.", retry_after_s=5))
        self._supervisor.join(_END_S)
        for worker in self._workers:
            worker.join(_END_S)

    def _watch(self) -> None:
        pause_s, resume = _WATCH_S, 0.0
        while not self._closing.wait(_WATCH_S):
            for index, worker in enumerate(self._workers):
                if worker.healthy:
                    continue
                worker.abandon()
                if time.monotonic() < resume:
                    continue
                try:
                    worker.job.recover(reopen=worker.hung)
                except Exception:
                    log.exception("the %s cannot be started again yet", worker.job.name)
                    resume = time.monotonic() + pause_s
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                    continue
                log.warning("the %s had died and is started again", worker.job.name)
                self._workers[index] = Worker(worker.job, self._stalled_s)
                pause_s = _WATCH_S
