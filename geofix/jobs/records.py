"""The truth of a job, as objects that are written once.

::

    jobs/<id>/manifest.json                      the acknowledgement
    jobs/<id>/<inputs>/<chunk>.json              the items of a chunk
    jobs/<id>/<inputs>/<chunk>.bin               their photos, one behind the other
    jobs/<id>/results/<round>/<chunk>.ndjson     a header line, then one outcome a line
    jobs/<id>/kept/<round>/<chunk>/<index>.json  an outcome of a chunk with which a worker was lost
    jobs/<id>/tries/<round>/<chunk>/<name>       claims after the first; begun items
    jobs/<id>/marks/<round>/<mark>.json          started, cancel, refused, expired, ended

Rounds are 0 for the first run and one more for every retry.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from geofix.jobs.objects import Objects
from geofix.jobs.types import Item, Manifest, Outcome

_MANIFEST = TypeAdapter(Manifest)
_ITEMS = TypeAdapter(tuple[Item, ...])
_OUTCOME = TypeAdapter(Outcome)

_HEADER_BYTES = 256
_PARALLEL = 32


class Mark(StrEnum):
    """A fact about a round of a job."""

    STARTED = "started"
    """The round exists; names its chunks. Round 0 needs none."""
    CANCEL = "cancel"
    REFUSED = "refused"
    """None of the photos can be worked on."""
    EXPIRED = "expired"
    ENDED = "ended"
    """The round is over; holds the counts and the time of each state."""
    DELIVERED = "delivered"
    """The call that tells of the end was made, or was given up."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a chunk's results."""

    token: str
    """Of the claim that wrote them."""
    completed: int
    failed: int


_HEADER = TypeAdapter(Header)


@dataclass(slots=True)
class Findings:
    """What the store holds of a job, beside its inputs."""

    marks: dict[tuple[int, Mark], dict[str, object]] = field(default_factory=dict)
    results: dict[int, dict[int, Header]] = field(default_factory=lambda: defaultdict(dict))
    """Headers by round and chunk."""
    tries: Counter[int] = field(default_factory=Counter)
    """Claims of each chunk in the latest round, as far as they were recorded."""
    first_result_at: float | None = None

    @property
    def round(self) -> int:
        """The latest one."""
        return max((round_ for round_, mark in self.marks if mark is Mark.STARTED), default=0)

    @property
    def redeliveries(self) -> int:
        """Chunks that were claimed again."""
        return sum(n - 1 for n in self.tries.values())

    def latest(self, chunk: int) -> Header | None:
        """Of the last round that wrote outcomes of this chunk."""
        rounds = [round_ for round_, chunks in self.results.items() if chunk in chunks]
        return self.results[max(rounds)][chunk] if rounds else None


class Records:
    """Reads and writes the objects of jobs."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    async def create_manifest(self, manifest: Manifest) -> bool:
        """Acknowledge a job; False when the job has been acknowledged before."""
        return await self.objects.create(
            f"jobs/{manifest.id}/manifest.json", _MANIFEST.dump_json(manifest)
        )

    async def manifest(self, job_id: str) -> Manifest | None:
        """What defines the job; None where there is no such job."""
        data = await self.objects.get(f"jobs/{job_id}/manifest.json")
        return None if data is None else _MANIFEST.validate_json(data)

    async def job_ids(self) -> list[str]:
        """Every job, also those whose upload broke off."""
        return await self.objects.folders("jobs/")

    async def items(self, manifest: Manifest, chunk: int) -> tuple[Item, ...]:
        """The items of a chunk, in order. Empty where they are gone with the job."""
        path = f"jobs/{manifest.id}/{manifest.inputs}/{chunk:06d}.json"
        data = await self.objects.get(path)
        return () if data is None else _ITEMS.validate_json(data)

    async def mark(self, job_id: str, round_: int, mark: Mark, facts: Mapping[str, object]) -> bool:
        """Record a fact; False when it was recorded before (that record stands)."""
        path = f"jobs/{job_id}/marks/{round_:03d}/{mark}.json"
        return await self.objects.create(path, json.dumps(facts).encode())

    async def keep(self, job_id: str, round_: int, chunk: int, outcome: Outcome) -> bool:
        """Keep one outcome of a chunk that is worked item by item."""
        path = f"jobs/{job_id}/kept/{round_:03d}/{chunk:06d}/{outcome.index:08d}.json"
        return await self.objects.create(path, _OUTCOME.dump_json(outcome))

    async def kept(self, job_id: str, round_: int, chunk: int) -> list[Outcome]:
        """The outcomes kept of a chunk, in order."""
        prefix = f"jobs/{job_id}/kept/{round_:03d}/{chunk:06d}/"
        paths = sorted([path async for path, _ in self.objects.paths(prefix)])
        found = await asyncio.gather(*(self.objects.get(path) for path in paths))
        return [_OUTCOME.validate_json(data) for data in found if data is not None]

    async def try_(self, job_id: str, round_: int, chunk: int, name: str) -> None:
        """Record that a chunk was claimed again, or that one of its items was begun."""
        await self.objects.create(f"jobs/{job_id}/tries/{round_:03d}/{chunk:06d}/{name}", b"{}")

    async def excuse(self, job_id: str, round_: int, chunk: int, name: str) -> None:
        """Forget such a record."""
        await self.objects.remove(f"jobs/{job_id}/tries/{round_:03d}/{chunk:06d}/{name}")

    async def tries(self, job_id: str, round_: int, chunk: int) -> set[str]:
        """The names recorded by ``try_``."""
        prefix = f"jobs/{job_id}/tries/{round_:03d}/{chunk:06d}/"
        return {path.rsplit("/", 1)[-1] async for path, _ in self.objects.paths(prefix)}

    async def write_results(
        self, job_id: str, round_: int, chunk: int, token: str, outcomes: Sequence[Outcome]
    ) -> tuple[bool, Header]:
        """Write a chunk's outcomes unless they are there; whether these are the ones that stand.

        With it comes the header of those that stand.
        """
        failed = sum(1 for outcome in outcomes if outcome.problem is not None)
        header = Header(token, len(outcomes) - failed, failed)
        lines = [_HEADER.dump_json(header), *(_OUTCOME.dump_json(o) for o in outcomes)]
        path = _results(job_id, round_, chunk)
        if await self.objects.create(path, b"\n".join(lines) + b"\n"):
            return True, header
        standing = await self.header(job_id, round_, chunk)
        if standing is None:
            return await self.write_results(job_id, round_, chunk, token, outcomes)
        return standing.token == token, standing  # the store may have lost its reply, not our data

    async def results(self, job_id: str, round_: int, chunk: int) -> list[Outcome] | None:
        """A chunk's outcomes of one round; None where they are not written yet."""
        data = await self.objects.get(_results(job_id, round_, chunk))
        if data is None:
            return None
        return [_OUTCOME.validate_json(line) for line in data.splitlines()[1:]]

    async def header(self, job_id: str, round_: int, chunk: int) -> Header | None:
        """Of a chunk's outcomes; None where they are not written yet."""
        return await self._header(_results(job_id, round_, chunk))

    async def findings(self, job_id: str) -> Findings:
        """Everything that is known of a job's course."""
        found = Findings(marks=await self.marks(job_id))
        written: list[tuple[int, int, str]] = []
        async for path, at in self.objects.paths(f"jobs/{job_id}/results/"):
            of, name = path.split("/")[3:]
            written.append((int(of), int(name.removesuffix(".ndjson")), path))
            found.first_result_at = min(found.first_result_at or at, at)
        async for round_, chunk, header in self._headers(written):
            found.results[round_][chunk] = header
        async for path, _ in self.objects.paths(f"jobs/{job_id}/tries/{found.round:03d}/"):
            number, name = path.split("/")[4:]
            if name.startswith("claim-"):
                found.tries[int(number)] = max(found.tries[int(number)], int(name[6:]))
        return found

    async def marks(self, job_id: str) -> dict[tuple[int, Mark], dict[str, object]]:
        """The facts recorded of a job, by round."""
        marks = {}
        async for path, _ in self.objects.paths(f"jobs/{job_id}/marks/"):
            round_, name = path.split("/")[3:]
            data = await self.objects.get(path)
            marks[int(round_), Mark(name.removesuffix(".json"))] = json.loads(data or b"{}")
        return marks

    async def _headers(
        self, written: Iterable[tuple[int, int, str]]
    ) -> AsyncIterator[tuple[int, int, Header]]:
        waiting = [*written]
        for at in range(0, len(waiting), _PARALLEL):
            batch = waiting[at : at + _PARALLEL]
            headers = await asyncio.gather(*(self._header(path) for _, _, path in batch))
            for (round_, chunk, _), header in zip(batch, headers, strict=True):
                if header is not None:
                    yield round_, chunk, header

    async def _header(self, path: str) -> Header | None:
        data = await self.objects.get_range(path, 0, _HEADER_BYTES)
        if data is None:
            return None
        try:
            return _HEADER.validate_json(data.split(b"\n", 1)[0])
        except ValidationError:  # a write that a power failure tore: it was never told of
            await self.objects.remove(path)
            return None

    async def remove_photos(self, manifest: Manifest, found: Findings) -> None:
        """Remove uploaded photos that an ended job needs no more: all but those to be retried."""
        wanted = set()
        if (found.round, Mark.CANCEL) not in found.marks:
            wanted = {c for c in range(manifest.chunks) if (h := found.latest(c)) and h.failed}
        folder = f"jobs/{manifest.id}/{manifest.inputs}"
        done = [f"{folder}/{c:06d}.bin" for c in range(manifest.chunks) if c not in wanted]
        for at in range(0, len(done), _PARALLEL):
            await self.objects.remove(*done[at : at + _PARALLEL])

    async def remove(self, manifest: Manifest) -> None:
        """Remove everything of a job; first what would let it be found."""
        if manifest.idempotency:
            await self.objects.remove(manifest.idempotency)
        await self.objects.remove(f"jobs/{manifest.id}/manifest.json")
        await self.objects.remove_below(f"jobs/{manifest.id}/")


def _results(job_id: str, round_: int, chunk: int) -> str:
    return f"jobs/{job_id}/results/{round_:03d}/{chunk:06d}.ndjson"
