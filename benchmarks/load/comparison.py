"""Throughput and latency of the bare limit, Geofix and its peers, turn about."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.load.client import Load, Results, quantile, run
from benchmarks.load.servers import Server

CONCURRENCY = (1, 8, 32)
BATCHES = (1, 2, 4, 8, 16)
"""Sizes among which the limit's best is looked for."""


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
    failed: int = 0

    def add(self, results: Results, processor_s: float) -> None:
        """One round's results."""
        answered = results.of(200)
        self.per_s.append(results.throughput)
        self.p50_ms.append(quantile(answered, 0.5) * 1e3)
        self.p99_ms.append(quantile(answered, 0.99) * 1e3)
        self.processor_ms.append(processor_s * 1e3 / len(answered) if answered else math.nan)
        self.failed += len(results.statuses) - len(answered)

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
        _limit_slice(row[limit.name], limit, photo, seconds, batch)
        for server in servers:
            with server.awake():
                before = server.processor_s()
                results = run(_load(server, photo, seconds, clients))
                row[server.name].add(results, server.processor_s() - before)
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
        "| processor ms/photo | failed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for c in cells:
        p50, p99, work = (
            f"{statistics.median(values):.0f}" for values in (c.p50_ms, c.p99_ms, c.processor_ms)
        )
        lines.append(
            f"| {c.photo} | {c.concurrency} | {c.server} | {c.throughput:.1f} "
            f"| {over[c.server, c.photo, c.concurrency]:.2f} | {p50} | {p99} | {work} "
            f"| {c.failed} |"
        )
    return "\n".join(lines)


def _load(server: Server, photo: Path, seconds: float, clients: int) -> Load:
    return Load(server.url, str(photo), seconds, clients, as_json=server.takes_json)


def _limit_slice(cell: Cell, limit: Server, photo: Path, seconds: float, batch: int) -> None:
    httpx.get(limit.address)
    before = limit.processor_s()
    run(Load(f"{limit.address}/{batch}", str(photo), seconds, cell.concurrency))
    report = httpx.get(limit.address).json()
    cell.per_s.append(report["photos_per_s"])
    cell.p50_ms.append(report["cycle_s"] * 1e3)
    cell.p99_ms.append(report["cycle_s"] * 1e3)
    cell.processor_ms.append((limit.processor_s() - before) * 1e3 / max(1, report["photos"]))
