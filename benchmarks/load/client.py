"""The load client: threads with one connection each, in a process of its own.

``python -m benchmarks.load.client '{"url": …}'`` prints what came of every request as JSON. It
imports nothing but the standard library, so that it takes as little of the machine as it can.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_IDLE_S = 2.0
"""Servers close connections that were idle for some seconds: not used again after this long."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    url: str
    photo: str
    """Path of the photo's file."""
    seconds: float
    concurrency: int
    """Threads; each sends its next photo when it has its answer."""
    as_json: bool = False
    """In base64, for servers that take no raw body."""
    rate: float = 0.0
    """With a rate, photos a second whether answers come or not."""


@dataclass(slots=True)
class Results:
    """What came of it."""

    seconds: float = 0.0
    statuses: list[int] = field(default_factory=list)
    """0: the connection broke."""
    latencies_s: list[float] = field(default_factory=list)
    """With a rate, from when the photo should have been sent."""
    retry_after: int = 0
    """Answers that said when to come back."""

    def of(self, status: int) -> list[float]:
        """Sorted latencies of the answers of one status, in seconds."""
        pairs = zip(self.statuses, self.latencies_s, strict=True)
        return sorted(latency for got, latency in pairs if got == status)

    @property
    def throughput(self) -> float:
        """Photos answered with 200, a second."""
        return self.statuses.count(200) / self.seconds


def quantile(ordered: list[float], share: float) -> float:
    """Of sorted numbers; NaN without any."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def run(load: Load) -> Results:
    """Send it from another process."""
    command = [sys.executable, "-m", "benchmarks.load.client", json.dumps(asdict(load))]
    done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    return Results(**json.loads(done.stdout))


def _send(load: Load) -> Results:
    data = Path(load.photo).read_bytes()
    numbers, results, lock = itertools.count(), Results(), threading.Lock()
    parts = urlsplit(load.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    began = time.monotonic()

    def one(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        # A few bytes behind the picture make each photo a new one: no cache knows it.
        body, kind = data + os.urandom(8), "image/jpeg"
        if load.as_json:
            body, kind = b'{"photo": "%s"}' % base64.b64encode(body), "application/json"
        connection.request("POST", path, body, {"Content-Type": kind})
        response = connection.getresponse()
        response.read()
        return response

    def work() -> None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        ended = began
        while True:
            number = next(numbers)
            started = time.monotonic()
            if load.rate:
                started = began + number / load.rate
                time.sleep(max(0.0, started - time.monotonic()))
                if time.monotonic() - ended > _IDLE_S:
                    connection.close()  # it opens again by itself
            if started - began > load.seconds:
                break
            try:
                response = one(connection)
                status, told = response.status, "Retry-After" in response.headers
            except (OSError, http.client.HTTPException):
                connection.close()
                status, told = 0, False
            ended = time.monotonic()
            with lock:
                results.statuses.append(status)
                results.latencies_s.append(ended - started)
                results.retry_after += told
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(load.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.seconds = time.monotonic() - began
    return results


if __name__ == "__main__":
    json.dump(asdict(_send(Load(**json.loads(sys.argv[1])))), sys.stdout)
