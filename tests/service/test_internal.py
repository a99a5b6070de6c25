"""What workers ask of the service: photos by their place in the object store."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import httpx
import pytest

from geofix.remote.engine import KEY_HEADER, REFERENCES_PATH, Located
from geofix.settings import Settings
from service.audit import Audit

PATH = REFERENCES_PATH


@pytest.fixture
def data_dir(environment: dict[str, str]) -> Path:
    return Path(environment["GEOFIX_DATA_DIR"])


@pytest.fixture
def key(client: httpx.Client, data_dir: Path) -> dict[str, str]:
    client.post(PATH, json={"references": []}, headers={KEY_HEADER: "made by the first request"})
    return {KEY_HEADER: (data_dir / "worker.key").read_text()}


@pytest.fixture
def stored(data_dir: Path, jpeg: bytes) -> str:
    """The path of an object that holds the photo between other bytes."""
    path = f"jobs/{uuid.uuid4()}/inputs/00000.bin"
    file = data_dir / "objects" / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"before" + jpeg + b"behind")
    return path


def _ask(client: httpx.Client, key: dict[str, str], *references: object) -> dict[int, Located]:
    response = client.post(
        PATH,
        json={"references": references, "options": {"generators": "none", "heatmap": "false"}},
        headers=key,
    )
    assert response.status_code == 200, response.text
    found = [Located.model_validate_json(line) for line in response.text.splitlines()]
    return {one.index: one for one in found}


def test_only_a_worker_is_answered(client: httpx.Client, stored: str) -> None:
    body = {"references": [{"path": stored}]}
    for shown in (b"", b"guess", "é".encode()):
        response = client.post(PATH, json=body, headers={KEY_HEADER.encode(): shown})
        assert response.status_code == 403
        assert response.json()["type"] == "urn:geofix:problem:forbidden"


def test_the_key_is_its_owners_alone(key: dict[str, str], data_dir: Path) -> None:
    assert (data_dir / "worker.key").stat().st_mode & 0o777 == 0o600
    assert len(key[KEY_HEADER]) >= 32


def test_photos_are_read_where_they_lie(
    client: httpx.Client, key: dict[str, str], stored: str, jpeg: bytes
) -> None:
    found = _ask(
        client,
        key,
        {"path": stored, "start": 6, "length": len(jpeg)},
        {"path": stored, "start": 6, "length": len(jpeg) // 2},
        {"path": stored, "start": 0, "length": 6},
    )
    assert '"position"' in found[0].answer
    faults = [found[i].fault for i in (1, 2)]
    assert [fault.status for fault in faults if fault is not None] == [422, 415]


def test_every_answer_of_a_job_is_audited(
    client: httpx.Client, key: dict[str, str], stored: str, jpeg: bytes, data_dir: Path
) -> None:
    audit = Audit(Settings(data_dir=data_dir))
    before = len([*audit.entries()])
    reference = {"path": stored, "start": 6, "length": len(jpeg)}
    body = {"references": [reference], "options": {"generators": "none"}, "account": "gfx_ann"}
    assert client.post(PATH, json=body, headers=key).status_code == 200
    [entry] = [*audit.entries()][before:]
    assert (entry.action, entry.account) == ("job", "gfx_ann")
    assert entry.photo == audit.photo(hashlib.sha256(jpeg).hexdigest())
    assert entry.radius_90_km is not None


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("jobs/none/inputs/0.bin", 404),
        ("worker.key", 400),
        ("../worker.key", 400),
        ("jobs/../../worker.key", 400),
        ("/etc/hostname", 400),
        ("jobs//../../worker.key", 400),
    ],
)
def test_nothing_outside_the_jobs_is_read(
    client: httpx.Client, key: dict[str, str], path: str, status: int
) -> None:
    fault = _ask(client, key, {"path": path, "start": 0, "length": 10})[0].fault
    assert fault is not None
    assert fault.status == status
    assert "worker.key" not in fault.detail


def test_a_prefix_must_be_allowed(client: httpx.Client, key: dict[str, str]) -> None:
    fault = _ask(client, key, {"path": "hostname", "prefix": "file:///etc"})[0].fault
    assert fault is not None
    assert fault.status == 400


@pytest.mark.parametrize(
    ("options", "status"), [({"gallery": "none-such"}, 404), ({"galery": "x"}, 422)]
)
def test_what_no_photo_survives_is_told_once(
    client: httpx.Client, key: dict[str, str], stored: str, options: dict[str, str], status: int
) -> None:
    body = {"references": [{"path": stored}], "options": options}
    assert client.post(PATH, json=body, headers=key).status_code == status


def test_a_configured_key_is_used(tmp_path: Path) -> None:
    from geofix.remote.worker_key import worker_key

    kept = worker_key(Settings(data_dir=tmp_path))
    assert kept == worker_key(Settings(data_dir=tmp_path))
    assert worker_key(Settings.model_validate({"data_dir": tmp_path, "worker_key": "own"})) == "own"
