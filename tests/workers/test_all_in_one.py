"""``geofix serve --all`` and ``geofix batch``, as an operator and a user run them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from benchmarks.chaos.jobs import Jobs
from benchmarks.chaos.site import Site
from geofix.cli.main import main
from geofix.jobs.types import State
from geofix.settings import settings
from service.jobs.schemas import JobAnswer

PARTS = ("valkey", "service", "worker", "control", "clock")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site") / "a folder") as running:
        yield running
        assert running.stop() == 0, "\n".join(running.log)
    assert not any("Traceback" in line for line in running.log), "\n".join(running.log)


@pytest.fixture
def jobs(site: Site) -> Iterator[Jobs]:
    with Jobs(site.address) as opened:
        yield opened


@pytest.fixture
def folder(photos: list[tuple[str, bytes]], tmp_path: Path) -> Path:
    """A folder of five photos, one of them broken, and a file that is none."""
    folder = tmp_path / 'my "photos"'
    (folder / "below").mkdir(parents=True)
    for name, data in photos[:4]:
        (folder / "below" / name).write_bytes(data)
    (folder / "broken.jpg").write_bytes(photos[0][1][:2000])
    (folder / "notes.txt").write_text("no photo")
    return folder


def _geofix(site: Site, *arguments: str | Path) -> Result:
    settings.cache_clear()
    runner = CliRunner(env={"GEOFIX_DATA_DIR": str(site.data_dir), "COLUMNS": "80"})
    try:
        return runner.invoke(main, [*map(str, arguments)])
    finally:
        settings.cache_clear()


def _batch(site: Site, *arguments: str | Path) -> Result:
    return _geofix(site, "batch", *arguments)


def _until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_folder_becomes_a_job_and_its_results_files(
    site: Site, folder: Path, tmp_path: Path
) -> None:
    sent = _batch(site, "submit", folder, "--watch", "--option", "generators=none")
    assert sent.exit_code == 0, sent.stderr
    assert "4 of 5 located, 1 failed" in sent.stderr
    job = sent.stdout.strip()

    names = [f"below/{number:03}.jpg" for number in range(4)]
    lines = _batch(site, "results", job).stdout.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == names
    errors = _batch(site, "results", job, "--errors").stdout.splitlines()
    assert [json.loads(line)["custom_id"] for line in errors] == ["broken.jpg"]

    out = tmp_path / "out"
    for form in ("csv", "geojson", "parquet"):
        fetched = _batch(site, "results", job, "--format", form, "-o", out.with_suffix(f".{form}"))
        assert fetched.exit_code == 0, fetched.stderr
    rows = list(csv.DictReader(io.StringIO(out.with_suffix(".csv").read_text("utf-8-sig"))))
    assert [row["custom_id"] for row in rows] == names
    assert len(json.loads(out.with_suffix(".geojson").read_text())["features"]) == 4
    assert pq.read_table(out.with_suffix(".parquet")).num_rows == 4
    assert sorted(path.name for path in tmp_path.glob("*out*")) == [
        "out.csv",
        "out.geojson",
        "out.parquet",
    ]

    told = json.loads(_batch(site, "status", job, "--json").stdout)
    assert JobAnswer.model_validate(told).request_counts.failed == 1
    assert job in _batch(site, "status").stdout
    assert _batch(site, "watch", job).exit_code == 0


def test_the_same_key_makes_one_job(site: Site, folder: Path) -> None:
    sent = [_batch(site, "submit", folder, "--idempotency-key", "once") for _ in range(2)]
    assert [one.exit_code for one in sent] == [0, 0], sent
    assert sent[0].stdout == sent[1].stdout


def test_what_cannot_be_sent_is_told(site: Site, folder: Path) -> None:
    for arguments, told in (
        (("submit", folder / "notes.txt"), "A source is a folder"),
        (("submit", folder, "--option", "galery=x"), "Did you mean 'gallery'?"),
        (("submit", folder, "--option", "gallery"), "NAME=VALUE"),
        (("status", "none-such"), "no such job"),
        (("cancel", "none-such"), "no such job"),
        (("results", "none-such", "-o", folder / "never.csv"), "no such job"),
    ):
        result = _batch(site, *arguments)
        assert result.exit_code in {1, 2}, result
        assert told in result.stderr, result
    assert not (folder / "never.csv").exists()


@pytest.mark.parametrize("worker_is", ["alive", "lost"])
def test_a_job_that_is_cancelled_stops(
    site: Site, jobs: Jobs, photos: list[tuple[str, bytes]], worker_is: str
) -> None:
    many = [(f"{copy}-{name}", data) for copy in range(5) for name, data in photos]
    job = jobs.submit(many, {"generators": "attributes"})
    _until(lambda: jobs.read(job).request_counts.completed > 0)
    if worker_is == "lost":
        site.kill("worker")
    assert _batch(site, "cancel", job).exit_code == 0
    end = jobs.wait(job, 60.0)
    assert end.state == "cancelled"
    at = end.timestamps
    assert (at[State.CANCELLED] - at[State.CANCELLING]).total_seconds() < 5.0
    assert _batch(site, "watch", job).exit_code == 1
    done = end.request_counts.completed
    assert done < len(many)
    assert jobs.read(job).request_counts.completed == done


@pytest.mark.parametrize("name", ["worker", "control"])
def test_workers_prove_that_they_consume(site: Site, name: str) -> None:
    _until(lambda: _geofix(site, "worker", "alive", "--name", name).exit_code == 0)


def test_who_consumes_nothing_is_not_alive(site: Site) -> None:
    assert _geofix(site, "worker", "alive", "--name", "nobody").exit_code == 1


def test_parts_that_are_killed_are_started_again(
    site: Site, jobs: Jobs, photos: list[tuple[str, bytes]]
) -> None:
    before = {name: site.starts(name) for name in PARTS}
    for name in PARTS:
        site.kill(name)
    _until(lambda: all(site.starts(name) > before[name] for name in PARTS))
    end = jobs.wait(jobs.submit(photos[:20], {"generators": "none"}), 120.0)
    assert end.request_counts.completed == 20


def test_a_second_one_on_the_same_data_is_refused(site: Site) -> None:
    with pytest.raises(RuntimeError, match="held by"), Site(site.data_dir):
        pytest.fail("it started")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        pids = [site.pid(name) for name in PARTS]
        os.kill(site.pid("supervisor"), signal.SIGKILL)
        _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_worker_re_indexes_a_gallery_and_the_service_uses_the_new_version(
    site: Site, photos: list[tuple[str, bytes]]
) -> None:
    with httpx.Client(base_url=site.address, timeout=60.0) as client:
        for number, (name, data) in enumerate(photos[:3]):
            added = client.post(
                "/v1/galleries/again/photos",
                files={"photo": (name, data)},
                data={"lat": str(number), "lon": "2", "key": name},
            )
            assert added.status_code == 201, added.text
        asked = client.post("/v1/galleries/again/reindex", json={"quantization": "none"})
        assert (asked.status_code, asked.json()) == (202, {"gallery": "again", "base": 1})

        def versions() -> list[tuple[int, str]]:
            found = client.get("/v1/galleries/again/versions").json()["versions"]
            return [(one["version"], one["state"]) for one in found]

        _until(lambda: versions() == [(1, "retired"), (2, "active")])
        assert client.get("/v1/galleries/again").json()["count"] == 3
