"""Four times as many photos as can be answered, and what becomes of each."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.client import Load, quantile, run
from benchmarks.load.servers import Server

OVER = 4.0
AT_CAPACITY = 32
"""Clients, each with one photo on its way."""
_THREADS = 256


@dataclass(frozen=True, slots=True)
class Overload:
    """Figures of one overload; times in ms, memory in MB."""

    rate_per_s: float
    capacity_per_s: float
    capacity_p99_ms: float
    accepted_per_s: float
    accepted_p99_ms: float
    refused: int
    refused_p99_ms: float
    without_retry_after: int
    failed: int
    """Neither answered nor refused."""
    memory_before_mb: float
    memory_peak_mb: float
    memory_after_mb: float
    after_1_s_per_s: float

    def markdown(self) -> str:
        """As a list."""
        slower = self.accepted_p99_ms / self.capacity_p99_ms
        return "\n".join(
            [
                f"- sent: {self.rate_per_s:.0f} a second, {OVER:g} times the capacity of "
                f"{self.capacity_per_s:.1f}",
                f"- accepted: {self.accepted_per_s:.1f} a second, p99 {self.accepted_p99_ms:.0f} "
                f"ms, {slower:.2f} times that of {self.capacity_p99_ms:.0f} ms at capacity",
                f"- refused: {self.refused}, p99 {self.refused_p99_ms:.0f} ms, "
                f"{self.without_retry_after} of them without Retry-After; otherwise failed: "
                f"{self.failed}",
                f"- memory: {self.memory_before_mb:.0f} MB before, {self.memory_peak_mb:.0f} at "
                f"most, {self.memory_after_mb:.0f} after",
                f"- 1 s after: {self.after_1_s_per_s:.1f} a second",
            ]
        )


def overload(server: Server, photo: Path, seconds: float) -> Overload:
    """Measure the capacity, send ``OVER`` times as much, and measure again a second later."""
    slice_s = max(2.0, seconds / 6)
    capacity = run(Load(server.url, str(photo), slice_s, AT_CAPACITY))
    rate = OVER * capacity.throughput
    before = server.memory_mb()
    with _Watched(server) as watched:
        results = run(Load(server.url, str(photo), seconds, _THREADS, rate=rate))
    time.sleep(1.0)
    after = run(Load(server.url, str(photo), slice_s, AT_CAPACITY))
    accepted, refused = results.of(200), results.of(503)
    return Overload(
        rate_per_s=rate,
        capacity_per_s=capacity.throughput,
        capacity_p99_ms=quantile(capacity.of(200), 0.99) * 1e3,
        accepted_per_s=results.throughput,
        accepted_p99_ms=quantile(accepted, 0.99) * 1e3,
        refused=len(refused),
        refused_p99_ms=quantile(refused, 0.99) * 1e3,
        without_retry_after=len(refused) - results.retry_after,
        failed=len(results.statuses) - len(accepted) - len(refused),
        memory_before_mb=before,
        memory_peak_mb=watched.peak_mb,
        memory_after_mb=server.memory_mb(),
        after_1_s_per_s=after.throughput,
    )


class _Watched:
    """Looks at a server's memory twice a second."""

    def __init__(self, server: Server) -> None:
        self.peak_mb = server.memory_mb()
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> _Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.5):
            self.peak_mb = max(self.peak_mb, self._server.memory_mb())
