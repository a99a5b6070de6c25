"""POST /v1/feedback: the truth about an answer, told over HTTP and found in the file."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.feedback import journal
from service.feedback.answers import MOST_TRUTHS
from service.feedback.schemas import Given, Row, Truth
from service.locate.schemas import Answer

_JPEG = {"Content-Type": "image/jpeg", "Cache-Control": "no-store"}  # an answer for each test


@pytest.fixture
def answer(client: httpx.Client, jpeg: bytes) -> Answer:
    response = client.post("/v1/locate?generators=none", content=jpeg, headers=_JPEG)
    return Answer.model_validate_json(response.content)


def tell(client: httpx.Client, **truth: object) -> httpx.Response:
    return client.post("/v1/feedback", json=truth)


def rows(environment: dict[str, str], answer_id: str) -> list[Row]:
    directory = Path(environment["GEOFIX_DATA_DIR"])
    lines = (directory / journal.FILE).read_text("utf-8").splitlines()
    assert all(json.loads(line) for line in lines)
    found = [Row.model_validate_json(line) for line in lines]
    return [row for row in found if row.truth.id == answer_id]


def test_a_truth_is_measured_against_the_promise_and_kept(
    client: httpx.Client, environment: dict[str, str], answer: Answer
) -> None:
    here = answer.position
    told = tell(client, id=answer.id, lat=here.lat, lon=here.lon, source="gps")
    assert told.status_code == 201, told.text
    assert told.json() == {
        "id": answer.id,
        "recorded": "new",
        "distance_km": 0.0,
        "within_radius_50": True,
        "within_radius_90": True,
    }
    (row,) = rows(environment, answer.id)
    assert (row.truth.lat, row.truth.lon, row.truth.source) == (here.lat, here.lon, "gps")
    assert row.answer.sha256 == answer.photo.sha256
    assert (row.answer.radius_50_km, row.answer.within) == (answer.radius_50_km, answer.within)
    assert row.answer.abstained == "empty-gallery"


def test_the_same_truth_is_kept_once_and_another_takes_its_place(
    client: httpx.Client, environment: dict[str, str], answer: Answer
) -> None:
    truth = {"id": answer.id, "lat": 48.85, "lon": 2.35}
    assert tell(client, **truth).json()["recorded"] == "new"
    again = tell(client, **truth)
    assert (again.status_code, again.json()["recorded"]) == (200, "same")
    assert len(rows(environment, answer.id)) == 1
    changed = tell(client, **{**truth, "lat": -48.85})
    assert (changed.status_code, changed.json()["recorded"]) == (200, "replaced")
    assert changed.json()["distance_km"] > 5000
    kept = journal.read(Path(environment["GEOFIX_DATA_DIR"]))
    assert [row.truth.lat for row in kept if row.truth.id == answer.id] == [-48.85]


def test_one_caller_cannot_fill_the_disk_with_truths_of_one_answer(
    client: httpx.Client, environment: dict[str, str], answer: Answer
) -> None:
    told = [tell(client, id=answer.id, lat=i % 2, lon=0.0) for i in range(MOST_TRUTHS + 2)]
    assert [one.status_code for one in told] == [201, *[200] * (MOST_TRUTHS - 1), 409, 200]
    assert "the last one stands" in told[-2].json()["detail"]
    assert told[-1].json()["recorded"] == "same"
    assert len(rows(environment, answer.id)) == MOST_TRUTHS


def test_promised_against_observed_coverage_can_be_drawn(
    client: httpx.Client, answer: Answer
) -> None:
    def count(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))

    series = ['radius_total{held="true",radius="90"}', 'radius_total{held="false",radius="90"}']
    before = [count(f"geofix_feedback_{name}") for name in series]
    here = answer.position
    tell(client, id=answer.id, lat=here.lat, lon=here.lon)
    tell(client, id=answer.id, lat=here.lat, lon=here.lon)
    after = [count(f"geofix_feedback_{name}") for name in series]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1.0, 0.0]
    assert count("geofix_feedback_distance_km_count") >= 1.0


def test_a_refined_answer_can_be_told_about_too(client: httpx.Client, jpeg: bytes) -> None:
    first = client.post("/v1/locate?keep=true&generators=none", content=jpeg, headers=_JPEG)
    refined = client.post(f"/v1/locate/{first.json()['id']}/refine", json={"country": ["JP"]})
    told = tell(client, id=refined.json()["id"], lat=35.68, lon=139.76)
    assert told.status_code == 201


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"id": str(uuid.uuid4())}, 404, "not-found"),
        ({"id": ""}, 422, "invalid-option"),
        ({"id": 7}, 422, "invalid-option"),
        ({"lat": 90.01}, 422, "invalid-coordinate"),
        ({"lon": -180.5}, 422, "invalid-coordinate"),
        ({"lat": "48"}, 422, "invalid-coordinate"),
        ({"lat": None}, 422, "invalid-coordinate"),
        ({"note": "x"}, 422, "invalid-option"),
        ({"source": "x" * 201}, 422, "invalid-option"),
    ],
)
def test_a_truth_that_is_none_is_refused(
    client: httpx.Client, answer: Answer, changes: dict[str, object], status: int, kind: str
) -> None:
    response = tell(client, **{"id": answer.id, "lat": 1.0, "lon": 2.0, **changes})
    assert response.status_code == status, response.text
    assert response.json()["type"] == f"urn:geofix:problem:{kind}"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(
    client: httpx.Client, answer: Answer, value: str
) -> None:
    body = f'{{"id": "{answer.id}", "lat": {value}, "lon": 1}}'
    response = client.post(
        "/v1/feedback", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


def test_a_missing_field_and_another_body_are_refused(client: httpx.Client) -> None:
    assert tell(client, id="x", lat=1.0).status_code == 400
    assert client.post("/v1/feedback", data={"id": "x"}).status_code == 415


def test_a_line_cut_off_by_a_crash_harms_no_other(
    client: httpx.Client, environment: dict[str, str], answer: Answer
) -> None:
    directory = Path(environment["GEOFIX_DATA_DIR"])
    tell(client, id=answer.id, lat=1.0, lon=2.0)
    with (directory / journal.FILE).open("a") as file:
        file.write('{"at": "2026-01-01T00:0')
    assert tell(client, id=answer.id, lat=1.0, lon=3.0).json()["recorded"] == "replaced"
    kept = {row.truth.id: row.truth.lon for row in journal.read(directory)}
    assert kept[answer.id] == 3.0
    path = directory / journal.FILE
    whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
    path.write_text("".join(f"{line}\n" for line in whole))


def test_truths_are_exported_with_promises_and_as_a_calibration_set(
    client: httpx.Client,
    environment: dict[str, str],
    answer: Answer,
    jpeg: bytes,
    tmp_path: Path,
) -> None:
    tell(client, id=answer.id, lat=12.5, lon=-7.25, source="=cmd()")

    def geofix(*words: str) -> str:
        command = [sys.executable, "-m", "geofix.cli.main", "feedback", *words]
        return subprocess.run(  # noqa: S603 - our own command
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    lines = {line["id"]: line for line in csv.DictReader(geofix("export").splitlines())}
    line = lines[answer.id]
    assert (line["lat"], line["lon"], line["source"]) == ("12.5", "-7.25", "'=cmd()")
    assert line["sha256"] == answer.photo.sha256
    assert float(line["within_2500_km"]) == answer.within["2500"]

    (tmp_path / "trip").mkdir()
    (tmp_path / "trip" / "hill.jpg").write_bytes(jpeg)
    (tmp_path / "other.jpg").write_bytes(jpeg[:-2])
    out = tmp_path / "truth.csv"
    geofix("export", "--photos", str(tmp_path), "-o", str(out))
    assert out.read_text() == "photo,lat,lon\ntrip/hill.jpg,12.5,-7.25\n"
    summary = geofix("summary")
    assert "The 90 % radius held for" in summary
    assert "Within 1 km: " in summary


def test_answers_under_a_precision_cap_are_summed_up_and_exported_with_the_others(
    answer: Answer, tmp_path: Path
) -> None:
    capped = answer.model_copy(
        update={"id": str(uuid.uuid4()), "within": {"2500": answer.within["2500"]}}
    )
    for told in (capped, answer):
        truth = Truth(id=told.id, lat=1.0, lon=2.0)
        given = Given.by(told)
        row = Row(at=datetime.now(UTC), truth=truth, answer=given, distance_km=5.0)
        journal.append(tmp_path, row)
    environment = {**os.environ, "GEOFIX_DATA_DIR": str(tmp_path)}
    for word, says in (("summary", "Within 2500 km: 2 of 2"), ("export", f"{capped.id},")):
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "geofix.cli.main", "feedback", word],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        assert says in done.stdout
