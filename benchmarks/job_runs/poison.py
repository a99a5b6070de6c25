"""A job in which every tenth file is no photo, beside one without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.chaos.jobs import Jobs, Photo
from benchmarks.chaos.site import Site
from benchmarks.job_runs.pace import LIMIT_S, OPTIONS, seconds
from benchmarks.job_runs.poison_files import KINDS

_EVERY = 10


@dataclass(frozen=True, slots=True)
class Report:
    """What the poison did."""

    photos: int
    poison: int
    answers: int
    errors: dict[str, int]
    """By type."""
    untyped: int
    """Errors that blame us, not the file: there should be none."""
    worker_restarts: int
    clean_s: float
    """The photos alone: the mean of a job before and one behind."""
    poisoned_s: float
    slowdown: float
    """1.0: none."""

    def document(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Mixed:
    """Photos, with poison of each kind in turn in the place of every tenth."""

    photos: Sequence[Photo]
    poison: Sequence[bytes]

    def __iter__(self) -> Iterator[Photo]:
        for number, photo in enumerate(self.photos):
            if number % _EVERY:
                yield photo
            else:
                yield f"poison-{number:05}", self.poison[number // _EVERY % len(self.poison)]


def run(site: Site, photos: Sequence[Photo]) -> Report:
    """Photos alone, photos with poison, photos alone."""
    mixed = _Mixed(photos, [make() for make in KINDS.values()])
    clean = photos[: sum(1 for number in range(len(photos)) if number % _EVERY)]
    parts = ("worker", "control", "service")
    before = sum(site.starts(part) for part in parts)
    with Jobs(site.address) as jobs:
        first = seconds(jobs.wait(jobs.submit(clean, OPTIONS), LIMIT_S))
        end = jobs.wait(job := jobs.submit(mixed, OPTIONS), LIMIT_S)
        last = seconds(jobs.wait(jobs.submit(clean, OPTIONS), LIMIT_S))
        problems = [error["problem"] for error in jobs.errors(job)]
    kinds = Counter(str(p["type"]) for p in problems if isinstance(p, dict))
    statuses = [int(p["status"]) for p in problems if isinstance(p, dict)]
    clean_s, poisoned_s = (first + last) / 2.0, seconds(end)
    return Report(
        photos=len(photos),
        poison=len(photos) - len(clean),
        answers=end.request_counts.completed,
        errors=dict(kinds),
        untyped=sum(1 for status in statuses if status >= 500),
        worker_restarts=sum(site.starts(part) for part in parts) - before,
        clean_s=clean_s,
        poisoned_s=poisoned_s,
        slowdown=poisoned_s / clean_s,
    )
