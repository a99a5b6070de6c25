"""What the size of a chunk does to a job's pace, and what is lost with a worker."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.chaos.jobs import Jobs, Photo
from benchmarks.chaos.site import Site
from benchmarks.job_runs.pace import LIMIT_S, OPTIONS, seconds

SIZES = (1, 4, 16, 64, 256)
_PROCESSES = 2
"""Of the worker: each has a chunk in work."""


@dataclass(frozen=True, slots=True)
class Report:
    """Of one size."""

    chunk_items: int
    objects: int
    """In the object store when the job has ended."""
    first_per_s: float
    """Photos a second."""
    second_per_s: float
    """The same again."""
    lost_with_worker_s: float
    """What both chunks in work take: the work that is done again where a worker is lost."""

    def document(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def run(photos: Sequence[Photo]) -> list[Report]:
    """The same job twice with each size, on a site of its own."""
    return [_run(photos, size) for size in SIZES]


def _run(photos: Sequence[Photo], size: int) -> Report:
    with (
        tempfile.TemporaryDirectory() as folder,
        Site(Path(folder), {"GEOFIX_JOB_CHUNK_ITEMS": str(size)}) as site,
        Jobs(site.address) as jobs,
    ):
        jobs.wait(jobs.submit(photos[:32], OPTIONS), LIMIT_S)  # whatever is done but once
        first = jobs.wait(jobs.submit(photos, OPTIONS), LIMIT_S)
        kept = Path(folder) / "objects" / "jobs" / first.id
        objects = sum(1 for _ in kept.glob("**/*.*"))
        chunks = sum(1 for _ in kept.glob("inputs-*/*.json"))
        second = jobs.wait(jobs.submit(photos, OPTIONS), LIMIT_S)
    pace = [len(photos) / seconds(job) for job in (first, second)]
    return Report(
        chunk_items=size,
        objects=objects,
        first_per_s=pace[0],
        second_per_s=pace[1],
        lost_with_worker_s=_PROCESSES * len(photos) / max(1, chunks) / max(pace),
    )
