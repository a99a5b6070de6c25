"""A replica: answers as its original does, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.opening import Opener
from geofix.errors import InvalidOption
from geofix.remote.copies import FILE_PATH, ORIGINAL_PATH
from geofix.remote.engine import KEY_HEADER
from geofix.settings import Settings

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]
KEY = "k" * 32


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    own = {"GEOFIX_DATA_DIR": str(data_dir), "GEOFIX_WORKER_KEY": KEY}
    return {**os.environ, **own, **more}


@contextmanager
def asking(data_dir: Path) -> Iterator[httpx.Client]:
    owner = DataDirectory(data_dir).owner()
    assert owner is not None
    with httpx.Client(base_url=owner.address, timeout=60.0) as client:
        yield client


def replicate(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geofix.cli.main", "replicate"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_replica_answers_as_its_original_and_refuses_changes(
    tmp_path: Path, serving: Serving, jpeg: bytes
) -> None:
    first, second = tmp_path / "original", tmp_path / "replica"
    (first / "calibrations").mkdir(parents=True)
    (first / "calibrations" / "lite.none.json").write_text("{}")
    for stale in ("calibrations/old.json", "audit/of-its-own.jsonl"):
        (second / stale).parent.mkdir(parents=True)
        (second / stale).write_text("{}")
    with serving(environment(first)), asking(first) as original:
        place = {"lat": "48.1", "lon": "11.5", "key": "a"}
        created = original.post("/v1/galleries", json={"name": "default"})
        assert created.status_code == 201
        added = original.post("/v1/galleries/default/photos", files={"photo": jpeg}, data=place)
        assert added.status_code == 201, added.text
        as_replica = environment(
            second, GEOFIX_REPLICA="true", GEOFIX_SERVICE_URL=str(original.base_url)
        )
        copied = replicate(as_replica)
        assert copied.returncode == 0, copied.stderr
        assert "Copied 1 galleries and 1 files" in copied.stdout
        assert (second / "calibrations" / "lite.none.json").read_text() == "{}"
        assert not (second / "calibrations" / "old.json").exists()
        assert (second / "audit" / "of-its-own.jsonl").exists()
        assert not list((first / "snapshots").rglob("*.tar"))

        for path in ("../keys.json", "worker.key", "models/../keys.json", "/etc/passwd"):
            refused = original.get(FILE_PATH, params={"path": path}, headers={KEY_HEADER: KEY})
            assert refused.status_code == 404, path
        assert original.get(ORIGINAL_PATH).status_code == 403

        with serving(as_replica), asking(second) as replica:
            told = [
                client.post("/v1/locate", content=jpeg, headers={"Content-Type": "image/jpeg"})
                for client in (original, replica)
            ]
            answers = [answer.raise_for_status().json() for answer in told]
            assert answers[0]["evidence"]["neighbours"] != []
            for part in ("position", "evidence", "galleries", "countries", "calibrated"):
                assert answers[0][part] == answers[1][part], part
            _refuses_every_change(replica)
            searched = replica.post("/v1/galleries/default/search", json={"vector": [0.1] * 1280})
            assert searched.status_code == 200, searched.text

        assert original.delete("/v1/galleries/default").status_code == 204
        assert "Copied 0 galleries" in replicate(as_replica).stdout
        assert DataDirectory(second).names() == []


def _refuses_every_change(replica: httpx.Client) -> None:
    paths = replica.get("/openapi.json").json()["paths"]
    changes = [
        (method, path)
        for path, operations in paths.items()
        if path.startswith("/v1/galleries")
        for method, operation in operations.items()
        if method != "get" and operation["operationId"] != "searchGallery"
    ]
    assert len(changes) > 10
    for method, path in changes:
        there = path.replace("{name}", "default")
        body = json.dumps({"name": "other", "snapshot": "a", "contributor": "b", "version": 2})
        answer = replica.request(
            method, there, content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 403, (method, path, answer.text)
        assert "replica" in answer.json()["detail"]


def test_no_original_is_replaced_by_mistake(tmp_path: Path) -> None:
    url = {"GEOFIX_SERVICE_URL": "http://127.0.0.1:9"}
    for given, wanted in (
        (url, "GEOFIX_REPLICA"),
        ({"GEOFIX_REPLICA": "true"}, "GEOFIX_SERVICE_URL"),
        ({**url, "GEOFIX_REPLICA": "true"}, "does not answer"),
    ):
        done = replicate(environment(tmp_path, **given))
        assert done.returncode == 1
        assert wanted in done.stderr


def test_a_replica_leaves_its_originals_server_alone(tmp_path: Path) -> None:
    """It would remove from the collection whatever its own copy does not hold."""
    config = Settings(data_dir=tmp_path, replica=True, qdrant_url="http://127.0.0.1:6334")
    with pytest.raises(InvalidOption, match="GEOFIX_QDRANT_URL"):
        _ = Opener(config).server
