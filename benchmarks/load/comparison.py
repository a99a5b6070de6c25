"""Throughput and latency of the bare limit, Geofix and its peers, turn about."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from benchmarks.load.client import Load, quantile, run
from benchmarks.load.machine import OTHERS, TRIES, Watch
from benchmarks.load.servers import Server

CONCURRENCY = (1, 8, 32)
BATCHES = (1, 2, 4, 8, 16)
"""Sizes among which the limit's best is looked for."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One server under load for some seconds; times in ms."""

    per_s: float
    p50_ms: float
    p99_ms: float
    processor_ms: float
    failed: int
    others: float
    """Share of the machine's processors that something else took meanwhile."""


@dataclass(slots=True)
class Cell:
    """One server with one photo at one concurrency; a number for each round."""

    server: str
    photo: str
    concurrency: int
    per_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    """Of all cores, for one photo: what a busy machine changes least."""
    others: list[float] = field(default_factory=list)
    """As of a slice."""
    failed: int = 0

    def add(self, measured: Slice) -> None:
        """One round."""
        self.per_s.append(measured.per_s)
        self.p50_ms.append(measured.p50_ms)
        self.p99_ms.append(measured.p99_ms)
        self.processor_ms.append(measured.processor_ms)
        self.others.append(measured.others)
        self.failed += measured.failed

    @property
    def throughput(self) -> float:
        """Median photos a second."""
        return statistics.median(self.per_s)


def best_batch(limit: Server, photo: Path, seconds: float, batches: Sequence[int]) -> int:
    """The size with which the bare limit is quickest."""
    rates = {}
    for size in batches:
        run(Load(f"{limit.address}/{size}", str(photo), seconds, size))
        rates[size] = httpx.get(limit.address).json()["photos_per_s"]
    return max(rates, key=lambda size: rates[size])


def compare(
    name: str,
    photo: Path,
    limit: Server,
    servers: Sequence[Server],
    *,
    seconds: float,
    rounds: int,
    clients: int,
    batch: int,
) -> list[Cell]:
    """Every server with so many clients, turn about with the limit; the servers are paused."""
    row = {s.name: Cell(s.name, name, clients) for s in (limit, *servers)}
    for server in servers:
        with server.awake():
            run(_load(server, photo, seconds / 4, clients))  # warm
    for _ in range(rounds):
        slice_of_limit = partial(_of_limit, limit, photo, seconds, clients, batch)
        row[limit.name].add(_undisturbed(slice_of_limit))
        for server in servers:
            with server.awake():
                slice_of_server = partial(_of_server, server, photo, seconds, clients)
                row[server.name].add(_undisturbed(slice_of_server))
    return [*row.values()]


def ratios(cells: Sequence[Cell]) -> dict[tuple[str, str, int], float]:
    """Throughput over that of the limit: the median of the rounds' ratios."""
    limits = {(c.photo, c.concurrency): c for c in cells if c.server == "bare"}
    found = {}
    for cell in cells:
        pairs = zip(cell.per_s, limits[cell.photo, cell.concurrency].per_s, strict=True)
        key = (cell.server, cell.photo, cell.concurrency)
        found[key] = statistics.median(got / limit for got, limit in pairs)
    return found


def markdown(cells: Sequence[Cell]) -> str:
    """One row a cell."""
    over = ratios(cells)
    lines = [
        "| photo | clients | server | photos/s | of the limit | p50 ms | p99 ms "
        "| processor ms/photo | failed | others |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for c in cells:
        p50, p99, work = (
            f"{statistics.median(values):.0f}" for values in (c.p50_ms, c.p99_ms, c.processor_ms)
        )
        lines.append(
            f"| {c.photo} | {c.concurrency} | {c.server} | {c.throughput:.1f} "
            f"| {over[c.server, c.photo, c.concurrency]:.2f} | {p50} | {p99} | {work} "
            f"| {c.failed} | {max(c.others):.0%} |"
        )
    return "\n".join(lines)


def _load(server: Server, photo: Path, seconds: float, clients: int) -> Load:
    return Load(server.url, str(photo), seconds, clients, as_json=server.takes_json)


def _undisturbed(measure: Callable[[], Slice]) -> Slice:
    """A slice, made again while something else is at work; at last the least disturbed one."""
    tried: list[Slice] = []
    while len(tried) < TRIES:
        tried.append(measure())
        if tried[-1].others <= OTHERS:
            break
    return min(tried, key=lambda measured: measured.others)


def _of_server(server: Server, photo: Path, seconds: float, clients: int) -> Slice:
    watch, before = Watch(), server.processor_s()
    results = run(_load(server, photo, seconds, clients))
    spent_s = server.processor_s() - before
    answered = results.of(200)
    return Slice(
        per_s=results.throughput,
        p50_ms=quantile(answered, 0.5) * 1e3,
        p99_ms=quantile(answered, 0.99) * 1e3,
        processor_ms=spent_s * 1e3 / len(answered) if answered else math.nan,
        failed=len(results.statuses) - len(answered),
        others=watch.others(spent_s),
    )


def _of_limit(limit: Server, photo: Path, seconds: float, clients: int, batch: int) -> Slice:
    httpx.get(limit.address)
    watch, before = Watch(), limit.processor_s()
    run(Load(f"{limit.address}/{batch}", str(photo), seconds, clients))
    spent_s = limit.processor_s() - before
    others = watch.others(spent_s)
    report = httpx.get(limit.address).json()
    cycle_ms = report["cycle_s"] * 1e3
    worked_ms = spent_s * 1e3 / max(1, report["photos"])
    return Slice(report["photos_per_s"], cycle_ms, cycle_ms, worked_ms, 0, others)
