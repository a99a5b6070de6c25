"""Searches at a steady rate before, during and after a change, and what they met."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx
import numpy as np

from benchmarks.load import servers
from geofix.remote.client import LIMITS

_WARM_S = 3.0


@dataclass
class Seen:
    """What the searches of one phase met."""

    ms: list[float] = field(default_factory=list)
    """From when each was due until its answer was there."""
    failed: int = 0
    half_built: int = 0
    """Answers of a version that does not exist, of another encoder, or with too few hits."""
    missed: int = 0
    """Answers without the one that was asked for: a graph finds 998 of 1000."""
    deleted: int = 0
    """Answers with a point whose removal had been acknowledged before they were asked for."""
    versions: set[int] = field(default_factory=set)


class Scene(Protocol):
    """What is searched for, and what changes meanwhile."""

    async def search(self, client: httpx.AsyncClient, seen: Seen) -> bool:
        """Search once and check the answer; whether there was one."""
        ...

    async def change(self, client: httpx.AsyncClient) -> None:
        """Everything that is to happen while searches go on."""
        ...


async def watch(
    scene: Scene, data_dir: Path, model: str, rate: float, before_s: float
) -> dict[str, float]:
    """Figures of a scene in a service of its own, at ``rate`` searches a second."""
    before, during, after = Seen(), Seen(), Seen()
    with servers.geofix(data_dir, model) as service:
        async with httpx.AsyncClient(
            base_url=service.address, timeout=60.0, limits=LIMITS
        ) as client:
            await _searches(scene, client, Seen(), rate, _for(_WARM_S))
            await _searches(scene, client, before, rate, _for(before_s))
            started = time.perf_counter()
            changing = asyncio.create_task(scene.change(client))
            await _searches(scene, client, during, rate, lambda: not changing.done())
            await changing
            changed_s = time.perf_counter() - started
            await _searches(scene, client, after, rate, _for(before_s / 2))
    return {
        "changing_s": changed_s,
        **_figures("before", before),
        **_figures("during", during),
        **_figures("after", after),
        "versions_seen": len(during.versions | after.versions),
    }


async def command(data_dir: Path, *arguments: str) -> None:
    """Run ``geofix`` on a data directory. Raises RuntimeError where it fails."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "geofix.cli.main", *arguments),
        env={**os.environ, "GEOFIX_DATA_DIR": str(data_dir)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await started.communicate()
    if started.returncode:
        raise RuntimeError(complaint.decode()[-500:])


async def _searches(
    scene: Scene,
    client: httpx.AsyncClient,
    seen: Seen,
    rate: float,
    goes_on: Callable[[], bool],
) -> None:
    """Searches, each when it is due."""
    running: set[asyncio.Task[None]] = set()
    due = time.perf_counter()
    while goes_on():
        task = asyncio.create_task(_search(scene.search(client, seen), seen, due))
        running.add(task)
        task.add_done_callback(running.discard)
        due += 1.0 / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await asyncio.gather(*running)


async def _search(searching: Coroutine[None, None, bool], seen: Seen, due: float) -> None:
    try:
        answered = await searching
    except httpx.HTTPError as error:
        answered = False
        print("a search failed:", type(error).__name__, file=sys.stderr)
    seen.ms.append((time.perf_counter() - due) * 1e3)
    seen.failed += not answered


def _for(seconds: float) -> Callable[[], bool]:
    ends = time.perf_counter() + seconds
    return lambda: time.perf_counter() < ends


def _figures(phase: str, seen: Seen) -> dict[str, float]:
    p50, p99 = np.percentile(seen.ms, [50, 99]) if seen.ms else (np.nan, np.nan)
    return {
        f"{phase}_searches": len(seen.ms),
        f"{phase}_failed": seen.failed,
        f"{phase}_half_built": seen.half_built,
        f"{phase}_missed": seen.missed,
        f"{phase}_deleted_returned": seen.deleted,
        f"{phase}_p50_ms": float(p50),
        f"{phase}_p99_ms": float(p99),
        f"{phase}_longest_ms": max(seen.ms, default=float("nan")),
    }
