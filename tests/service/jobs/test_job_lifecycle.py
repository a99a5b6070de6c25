from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import resource
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pyarrow.parquet as pq
import pytest
import shapely
from redis import Redis

from geofix.settings import Settings
from service.audit import Audit
from tests.service.jobs.conftest import serving, zipped

_PHOTOS = [("photo", (f"{n}.jpg", f"photo {n}".encode())) for n in range(8)]
Finish = Callable[..., None]


def _create(api: httpx.Client, **more: object) -> dict[str, object]:
    response = api.post("/v1/jobs", files=_PHOTOS, **more)  # type: ignore[arg-type]
    assert response.status_code == 202, response.text
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    return dict(job)


def _lines(response: httpx.Response) -> list[dict[str, object]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_job_from_photos_to_answers(api: httpx.Client, finish: Finish, redis: Redis) -> None:
    job = _create(api, data={"generators": "none", "priority": "high"})
    path = f"/v1/jobs/{job['id']}"
    assert job["state"] == "validating"
    assert job["options"] == {"generators": "none", "heatmap": "false"}
    assert redis.llen("batch") > 0, "a high-priority message lies in the first list"
    finish(job["id"], chunks=[1], bad=frozenset({4}))
    assert [line["index"] for line in _lines(api.get(f"{path}/results"))] == [3, 5]
    assert [line["index"] for line in _lines(api.get(f"{path}/errors"))] == [4]
    finish(job["id"])
    done = api.get(path).json()
    assert done["state"] == "completed"
    assert done["request_counts"] == {"total": 8, "completed": 7, "failed": 1}
    assert [*done["timestamps"]] == ["validating", "in_progress", "finalizing", "completed"]
    results = _lines(api.get(f"{path}/results"))
    assert [line["custom_id"] for line in results] == [f"{n}.jpg" for n in range(8) if n != 4]
    assert api.post(f"{path}/cancel").status_code == 409
    again = api.post(f"{path}/retry")
    assert again.status_code == 202
    finish(job["id"])
    assert [line["index"] for line in _lines(api.get(f"{path}/results"))] == [*range(8)]
    assert _lines(api.get(f"{path}/errors")) == []


def test_results_come_in_four_formats(api: httpx.Client, finish: Finish) -> None:
    photos = [("photo", ("=cmd.jpg", b"x")), ("photo", ("a b,ü.jpg", b"y"))]
    job = api.post("/v1/jobs", files=photos).json()
    finish(job["id"])
    path = f"/v1/jobs/{job['id']}/results"
    rows = [*csv.DictReader(io.StringIO(api.get(path, params={"format": "csv"}).text))]
    assert [row["custom_id"] for row in rows] == ["'=cmd.jpg", "a b,ü.jpg"]
    assert [float(row["lat"]) for row in rows] == [48.0, 49.0]
    features = api.get(path, params={"format": "geojson"}).json()["features"]
    assert [f["geometry"]["coordinates"] for f in features] == [[2.0, 48.0], [2.0, 49.0]]
    assert features[0]["properties"]["country"] == "FR"
    table = pq.read_table(io.BytesIO(api.get(path, params={"format": "geoparquet"}).content))
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["columns"]["geometry"]["geometry_types"] == ["Point"]
    points = shapely.from_wkb(table["geometry"].to_pylist())
    assert [(p.x, p.y) for p in points] == [(2.0, 48.0), (2.0, 49.0)]
    assert api.get(path, params={"format": "xlsx"}).status_code == 422


@pytest.mark.parametrize("format", ["ndjson", "csv", "geojson", "geoparquet"])
def test_a_job_without_results_yet_has_an_empty_file(api: httpx.Client, format: str) -> None:
    job = _create(api)
    response = api.get(f"/v1/jobs/{job['id']}/results", params={"format": format})
    assert response.status_code == 200
    if format == "geojson":
        assert response.json()["features"] == []
    if format == "geoparquet":
        assert pq.read_table(io.BytesIO(response.content)).num_rows == 0


def test_archives_and_lines_make_the_same_job(api: httpx.Client, finish: Finish) -> None:
    photos = {f"trip/{n}.jpg": bytes([n]) * 1000 for n in range(5)}
    tarred, gzipped = io.BytesIO(), io.BytesIO()
    for buffer, mode in ((tarred, "w"), (gzipped, "w:gz")):
        with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
            for name, photo in photos.items():
                info = tarfile.TarInfo(name)
                info.size = len(photo)
                archive.addfile(info, io.BytesIO(photo))
    bodies = [
        ("application/zip", zipped({"trip/": b"", "trip/.DS_Store": b"-", **photos})),
        ("application/x-tar", tarred.getvalue()),
        ("application/gzip", gzipped.getvalue()),
    ]
    for kind, body in bodies:
        response = api.post("/v1/jobs", content=body, headers={"Content-Type": kind})
        assert response.status_code == 202, response.text
        job = response.json()
        assert job["request_counts"]["total"] == 5
        assert job["skipped_count"] == (1 if kind == "application/zip" else 0)
        finish(job["id"])
        results = _lines(api.get(f"/v1/jobs/{job['id']}/results"))
        assert [line["custom_id"] for line in results] == [*photos]
    part = api.post("/v1/jobs", files={"archive": ("a.zip", bodies[0][1])})
    assert part.json()["request_counts"]["total"] == 5
    assert part.json()["skipped"] == {"trip/.DS_Store": "clutter"}


def test_lines_hold_photos_and_references(api: httpx.Client, objects: Path) -> None:
    lines = [
        {"custom_id": "a", "photo": "eHl6"},
        {"custom_id": "b", "reference": "s3://photos/public/2024/b.jpg"},
    ]
    body = "\n".join(json.dumps(line) for line in lines) + "\n\n"
    response = api.post("/v1/jobs", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert response.status_code == 202, response.text
    [chunk] = (objects / "jobs" / response.json()["id"]).glob("inputs-*/000000.json")
    sources = [item["source"] for item in json.loads(chunk.read_text())]
    assert sources[0]["length"] == 3
    assert sources[1]["prefix"] == "s3://photos/public"
    assert sources[1]["path"] == "2024/b.jpg"


@pytest.mark.parametrize(
    "line",
    [
        '{"custom_id": "a", "reference": "s3://photos/private/x.jpg"}',
        '{"custom_id": "a", "reference": "s3://photos/publicity/x.jpg"}',
        '{"custom_id": "a", "reference": "s3://photos/public/../private/x.jpg"}',
        '{"custom_id": "a", "reference": "s3://photos/public/%2e%2e/private/x.jpg"}',
        '{"custom_id": "a", "reference": "file:///etc/passwd"}',
        '{"custom_id": "a", "photo": "###"}',
        '{"custom_id": "a", "photo": ""}',
        '{"custom_id": "a"}',
        '{"photo": "eHl6"}',
        '{"custom_id": "first", "photo": "eHl6"}',
        "[]",
        "{",
    ],
)
def test_a_bad_line_is_named_and_nothing_is_kept(
    api: httpx.Client, objects: Path, line: str
) -> None:
    before = {*objects.glob("jobs/*")}
    body = '{"custom_id": "first", "photo": "eHl6"}\n' + line
    response = api.post("/v1/jobs", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert response.status_code == 400, response.text
    assert "Line 2" in response.json()["detail"]
    assert {*objects.glob("jobs/*")} == before


def test_one_key_twice_at_once_is_one_job(api: httpx.Client, at: str) -> None:
    async def both() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=at, timeout=60) as client:
            headers = {"Idempotency-Key": "twice"}
            posts = (client.post("/v1/jobs", files=_PHOTOS, headers=headers) for _ in range(6))
            return [*await asyncio.gather(*posts)]

    responses = asyncio.run(both())
    assert {r.status_code for r in responses} <= {202, 409}
    assert len({r.json()["id"] for r in responses if r.status_code == 202}) == 1
    ids = [job["id"] for job in api.get("/v1/jobs", params={"limit": 100}).json()["data"]]
    assert len(ids) == len({*ids})
    again = api.post("/v1/jobs", files=_PHOTOS, headers={"Idempotency-Key": "twice"})
    assert again.json()["id"] in {r.json().get("id") for r in responses}
    assert again.headers["idempotent-replayed"] == "true"


def test_a_key_whose_request_still_runs_is_a_conflict(
    api: httpx.Client, at: str, redis: Redis
) -> None:
    headers = {"Idempotency-Key": "slow"}
    go_on = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b'{"custom_id": "a", "photo": "eHl6"}\n'
        assert go_on.wait(20)
        yield b'{"custom_id": "b", "photo": "eHl6"}\n'

    def send(body: Iterator[bytes]) -> httpx.Response:
        kind = {"Content-Type": "application/x-ndjson"}
        return httpx.post(f"{at}/v1/jobs", content=body, headers=headers | kind, timeout=60)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(send, slowly())
        deadline = time.monotonic() + 20
        while not redis.keys("geofix:brief:upload:*"):  # until the service has read some of it
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert api.post("/v1/jobs", files=_PHOTOS, headers=headers).status_code == 409
        go_on.set()
        job = first.result()
    assert job.status_code == 202, job.text
    assert job.json()["request_counts"]["total"] == 2


def test_an_idempotency_key_survives_redis_and_holds_for_one_request(
    api: httpx.Client, redis: Redis
) -> None:
    headers = {"Idempotency-Key": "once"}
    job = _create(api, headers=headers, data={"candidates": "3"})
    redis.flushall()
    assert _create(api, headers=headers, data={"candidates": "3"})["id"] == job["id"]
    other = api.post("/v1/jobs", files=_PHOTOS, data={"candidates": "4"}, headers=headers)
    fewer = api.post("/v1/jobs", files=_PHOTOS[1:], data={"candidates": "3"}, headers=headers)
    assert (other.status_code, fewer.status_code) == (422, 422)
    assert other.json()["type"] == "urn:geofix:problem:idempotency-mismatch"
    api.delete(f"/v1/jobs/{job['id']}")
    assert _create(api, headers=headers)["id"] != job["id"]


def test_a_request_that_failed_does_not_use_up_its_key(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": "failed first"}
    bad = api.post("/v1/jobs", files=_PHOTOS, data={"candidates": "0"}, headers=headers)
    assert bad.status_code == 422
    _create(api, headers=headers)
    assert api.post("/v1/jobs", files=_PHOTOS, headers={"Idempotency-Key": ""}).status_code == 400


def test_events_are_streamed_and_resumed_without_gap(api: httpx.Client, finish: Finish) -> None:
    job = _create(api)
    seen: list[tuple[str, str]] = []

    def follow(last: str) -> str:
        """Read some events, then drop the connection."""
        kind = event_id = ""
        with api.stream(
            "GET", f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": last}
        ) as stream:
            if stream.status_code == 204:
                return "over"
            taken = 0
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    event_id = line[4:]
                elif line.startswith("event: "):
                    kind = line[7:]
                elif not line and kind:
                    seen.append((event_id, kind))
                    taken, kind, last = taken + 1, "", event_id
                    if taken == 2:
                        break
        return last

    worker = threading.Thread(target=finish, args=(job["id"],))
    worker.start()
    last = ""
    while last != "over":
        last = follow(last)
    worker.join()
    assert [kind for _, kind in seen] == ["state", "state", *["progress"] * 3, "state", "state"]
    assert len({event_id for event_id, _ in seen}) == len(seen)
    bad = api.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "$"})
    assert bad.status_code == 422


def test_cancelling_and_deleting(api: httpx.Client, objects: Path) -> None:
    job = _create(api)
    path = f"/v1/jobs/{job['id']}"
    assert api.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert api.post(f"{path}/retry").status_code == 409
    assert api.delete(path).status_code == 204
    for method, end in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")):
        assert api.request(method, f"{path}{end}").status_code == 404
    assert not [*objects.glob(f"**/{job['id']}*")]


def test_keys_cannot_see_each_others_jobs(
    api: httpx.Client, keys: Callable[..., dict[str, str]], finish: Finish
) -> None:
    ann, bob = keys("ann"), keys("bob", 500.0)
    job = _create(api, headers=ann)
    path = f"/v1/jobs/{job['id']}"
    mine = [j["id"] for j in api.get("/v1/jobs", headers=ann).json()["data"]]
    assert mine == [job["id"]]
    assert api.get("/v1/jobs", headers=bob).json()["data"] == []
    nothing = api.get("/v1/jobs/job_" + "0" * 36, headers=bob)
    for method, end in [
        *(("GET", end) for end in ("", "/results", "/errors", "/events")),
        *(("POST", end) for end in ("/cancel", "/retry")),
        ("DELETE", ""),
    ]:
        response = api.request(method, f"{path}{end}", headers=bob)
        assert response.status_code == 404
        assert response.json()["detail"] == nothing.json()["detail"]
    same = {"Idempotency-Key": "same"}
    first, second = _create(api, headers={**ann, **same}), _create(api, headers={**bob, **same})
    assert first["id"] != second["id"]
    finish(second["id"])
    [line, *_] = _lines(api.get(f"/v1/jobs/{second['id']}/results", headers=bob))
    answer = line["answer"]
    assert isinstance(answer, dict)
    assert answer["position"] != {"lat": 48.0, "lon": 2.0}
    assert answer["evidence"]["neighbours"] == []


def test_who_asked_is_audited(
    api: httpx.Client, keys: Callable[..., dict[str, str]], config: Settings
) -> None:
    response = api.post(
        "/v1/jobs", files=_PHOTOS, data={"candidates": "7"}, headers=keys("audited")
    )
    entry = [*Audit(config).entries()][-1]
    assert entry.action == "job"
    assert entry.account.startswith("gfx_")
    assert entry.request == response.headers["x-request-id"]
    assert entry.options["candidates"] == "7"


def test_pages_and_filters(api: httpx.Client, keys: Callable[..., dict[str, str]]) -> None:
    headers = keys("carol")
    ids = [str(_create(api, headers=headers)["id"]) for _ in range(3)]
    api.post(f"/v1/jobs/{ids[1]}/cancel", headers=headers)
    page = api.get("/v1/jobs", params={"limit": 2}, headers=headers).json()
    assert page["has_more"]
    rest = api.get("/v1/jobs", params={"after": page["next_cursor"]}, headers=headers).json()
    assert [job["id"] for job in [*page["data"], *rest["data"]]] == ids[::-1]
    assert rest["next_cursor"] is None
    cancelled = api.get("/v1/jobs", params={"state": "cancelled"}, headers=headers).json()
    assert [job["id"] for job in cancelled["data"]] == [ids[1]]


@pytest.mark.parametrize("archive", [False, True])
def test_a_full_store_is_said_before_anything_is_promised(
    api: httpx.Client, objects: Path, archive: bool
) -> None:
    """A limit on the size of files fails like a full disk does, in the middle of a write."""
    before = _files(objects)
    photos = {f"{n}.jpg": os.urandom(200_000) for n in range(8)}
    listed = [("photo", (name, photo)) for name, photo in photos.items()]
    files = {"archive": ("a.zip", zipped(photos))} if archive else listed
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        response = api.post("/v1/jobs", files=files, headers={"Idempotency-Key": f"f{archive}"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert response.status_code == 507, response.text
    assert response.json()["type"] == "urn:geofix:problem:storage-full"
    assert str(objects) not in response.text
    assert _files(objects) == before
    again = api.post("/v1/jobs", files=files, headers={"Idempotency-Key": f"f{archive}"})
    assert again.status_code == 202


def _files(folder: Path) -> set[Path]:
    """What is stored, beside records of keys: those promise nothing."""
    found = {Path(at) / name for at, _, names in os.walk(folder) for name in names}
    return {path for path in found if "idempotency" not in path.parts}


def test_a_client_that_goes_away_leaves_nothing(at: str, objects: Path) -> None:
    before = _files(objects)
    address = urlsplit(at)
    assert address.hostname
    head = (
        "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    part = '--b\r\nContent-Disposition: form-data; name="photo"; filename="x"\r\n\r\nxyz\r\n'
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall((head + part * 30).encode())
        deadline = time.monotonic() + 20
        while _files(objects) == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    while _files(objects) != before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400),
        (b"garbage", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data", 400),
        (b"", "application/x-ndjson", 400),
        (b"{}", "application/json", 415),
        (b"x", "image/jpeg", 415),
    ],
)
def test_what_is_no_job_is_refused(api: httpx.Client, body: bytes, kind: str, status: int) -> None:
    response = api.post("/v1/jobs", content=body, headers={"Content-Type": kind})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "fields",
    [
        {"candidates": "0"},
        {"colour": "red"},
        {"priority": "urgent"},
        {"expires_h": "-1"},
        {"kept_days": "nan"},
        {"keep": "true"},
        {"webhook": "http://127.0.0.1/hook"},
        {"webhook": "http://169.254.169.254/latest"},
        {"country": "XX"},
    ],
)
def test_bad_options_are_refused(api: httpx.Client, fields: dict[str, str]) -> None:
    for more in ({"data": fields}, {"params": fields}):
        response = api.post("/v1/jobs", files=_PHOTOS, **more)  # type: ignore[arg-type]
        assert response.status_code == 422, response.text
    assert api.post("/v1/jobs", files=_PHOTOS, data={"gallery": "none"}).status_code == 404


def test_a_photo_larger_than_allowed_is_named(api: httpx.Client) -> None:
    response = api.post("/v1/jobs", files=[("photo", ("big.jpg", b"x" * (2**20 + 1)))])
    assert response.status_code == 413
    assert "big.jpg" in response.json()["detail"]
    response = api.post("/v1/jobs", files=[("photo", ("x.jpg", b"x"))] * 201)
    assert response.status_code == 413


def test_a_service_without_redis_says_so(tmp_path: Path) -> None:
    with serving(Settings(data_dir=tmp_path, auth="auto")) as address:
        response = httpx.get(f"{address}/v1/jobs")
    assert response.status_code == 503
    assert "GEOFIX_REDIS_URL" in response.json()["detail"]
