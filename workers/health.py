"""Proof that a worker consumes: a process that is alive and takes no tasks is of no use.

Every worker sends itself a probe over the broker, on a queue of its own. A probe that one of its
pool's processes runs leaves a mark with its time; so does every second of work on a chunk, as
probes wait while all processes are at work. No fresh mark: the worker must be started again.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from celery import Celery, signals
from kombu.exceptions import OperationalError

PROBE = "geofix.probe"
PROBE_S = 10.0
STALE_S = 60.0
"""A worker without a mark for so long is dead."""

log = logging.getLogger("geofix.worker")


@dataclass(frozen=True, slots=True)
class Pulse:
    """When a worker last did something, kept as the time of a file."""

    path: Path

    @classmethod
    def of(cls, data_dir: Path, worker: str) -> Pulse:
        """The pulse of a worker by its name."""
        return cls(data_dir / "run" / f"{worker}.pulse")

    def beat(self) -> None:
        """Something was done just now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    def forget(self) -> None:
        """Nothing was done yet."""
        self.path.unlink(missing_ok=True)

    def last(self) -> float:
        """When the last beat was, in Unix seconds; 0 where there was none."""
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def age_s(self) -> float | None:
        """Seconds since the last beat; None where there was none."""
        last = self.last()
        return max(0.0, time.time() - last) if last else None

    def alive(self) -> bool:
        """Whether the last beat is fresh."""
        age_s = self.age_s()
        return age_s is not None and age_s < STALE_S


def probe_queue(worker: str) -> str:
    """The queue that this worker alone consumes."""
    return f"probe.{worker}"


def install(app: Celery, worker: str, pulse: Pulse) -> None:
    """Make the worker of this application send itself probes once it is up."""
    app.task(name=PROBE)(pulse.beat)

    def send_forever() -> None:
        while True:
            try:
                app.send_task(PROBE, queue=probe_queue(worker), expires=PROBE_S, retry=False)
            except OperationalError:
                log.warning("the broker does not answer; the worker's probe was not sent")
            time.sleep(PROBE_S)

    def start(**_: object) -> None:
        threading.Thread(target=send_forever, name="probe", daemon=True).start()

    signals.worker_ready.connect(start, weak=False)
