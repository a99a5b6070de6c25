"""A job while worker, service, Redis and object store are killed at moments drawn by a seed.

The moments are shares of the job's photos that are done, so that every fault falls into the work.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.chaos.jobs import Jobs, Photo
from benchmarks.chaos.s3 import FailingStore
from benchmarks.chaos.site import Site
from service.jobs.schemas import JobAnswer

FAULTS: Mapping[str, int] = {
    "worker": 5,
    "redis": 2,
    "redis and its data": 1,
    "service": 2,
    "object store": 1,
}
"""How often each part fails."""
OPTIONS = {"generators": "attributes", "heatmap": "false"}
LIMIT_S = 900.0


@dataclass(frozen=True, slots=True)
class Report:
    """What remained of a job that was treated so."""

    photos: int
    seed: int
    faults: dict[str, int]
    state: str
    answers: int
    problems: int
    """Photos that were given up."""
    missing: int
    repeated: int
    in_order: bool
    seconds: float
    after_last_fault_s: float
    work_left: int
    """Photos without an outcome when the last fault came."""
    work_left_s: float
    """The time these need at the pace of a run without faults."""
    redeliveries: int
    duplicates: int
    store_failures: int
    """Requests that the object store answered with 500."""

    @property
    def whole(self) -> bool:
        """Every photo has exactly one answer, in order."""
        return not (self.missing or self.repeated or self.problems) and self.in_order

    @property
    def in_time(self) -> bool:
        """It ended within 60 s of the last fault and the work that was left then."""
        return self.after_last_fault_s <= 60.0 + self.work_left_s

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {**asdict(self), "whole": self.whole, "in_time": self.in_time}


class _Faults:
    """Breaks a site's parts when the job has come so far."""

    def __init__(
        self, site: Site, store: FailingStore, seed: int, faults: Mapping[str, int], outage_s: float
    ) -> None:
        draw = random.Random(seed)  # noqa: S311 - it need not be secret
        kinds = [kind for kind, count in faults.items() for _ in range(count)]
        draw.shuffle(kinds)
        moments = sorted(draw.uniform(0.02, 0.9) for _ in kinds)
        self._plan = list(zip(moments, kinds, strict=True))
        self._site = site
        self._store = store
        self._outage_s = outage_s
        self.last = 0.0
        self.left = 0

    def __call__(self, job: JobAnswer) -> None:
        """Look at the job, and break what is due."""
        counts = job.request_counts
        done = counts.completed + counts.failed
        while self._plan and self._plan[0][0] * counts.total <= done and not self._store.fails:
            _, kind = self._plan.pop(0)
            print(f"  at {done} of {counts.total}: {kind}", flush=True)
            self._break(kind)
            self.last, self.left = time.monotonic(), counts.total - done

    def all_happened(self) -> bool:
        return not self._plan and not self._store.fails

    def _repair(self) -> None:
        self._store.fails = False
        self.last = time.monotonic()

    def _break(self, kind: str) -> None:
        match kind:
            case "worker" | "service":
                self._site.kill(kind)
            case "redis":
                self._site.kill("valkey")
            case "redis and its data":
                self._site.lose_redis()
            case "object store":
                self._store.fails = True
                threading.Timer(self._outage_s, self._repair).start()


def run(
    photos: Sequence[Photo],
    seed: int,
    *,
    faults: Mapping[str, int] = FAULTS,
    outage_s: float = 10.0,
    limit_s: float = LIMIT_S,
) -> Report:
    """Run the job undisturbed for its pace, then again with the faults.

    Raises TimeoutError when one of them takes longer than ``limit_s``.
    """
    store = FailingStore()
    with (
        tempfile.TemporaryDirectory() as folder,
        store.running(),
        Site(Path(folder), store.environment) as site,
        Jobs(site.address) as jobs,
    ):
        calm = photos[: max(16, len(photos) // 5)]
        started = time.monotonic()
        jobs.wait(jobs.submit(calm, OPTIONS), limit_s)
        seconds_each = (time.monotonic() - started) / len(calm)

        job = jobs.submit(photos, OPTIONS)
        breaking = _Faults(site, store, seed, faults, outage_s)
        started = time.monotonic()
        end = jobs.wait(job, limit_s, breaking)
        ended = time.monotonic()
        if not breaking.all_happened():
            raise RuntimeError("the job ended before all faults had happened")
        results, errors = jobs.results(job), jobs.errors(job)
    answered = [str(result["custom_id"]) for result in results]
    found = Counter([*answered, *(str(error["custom_id"]) for error in errors)])
    wanted = [name for name, _ in photos]
    return Report(
        photos=len(photos),
        seed=seed,
        faults=dict(faults),
        state=str(end.state),
        answers=len(results),
        problems=len(errors),
        missing=sum(1 for name in wanted if not found[name]),
        repeated=sum(count - 1 for count in found.values() if count > 1),
        in_order=answered == wanted,
        seconds=ended - started,
        after_last_fault_s=ended - breaking.last,
        work_left=breaking.left,
        work_left_s=breaking.left * seconds_each,
        redeliveries=end.redeliveries,
        duplicates=end.duplicates,
        store_failures=store.failures,
    )
