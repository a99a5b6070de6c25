from __future__ import annotations

import base64
import json
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from geofix.settings import Settings
from service.app import create_app, engine
from service.locate.schemas import Answer

_QUICK = {"generators": "none"}


def _events(text: str) -> list[tuple[str, dict[str, object]]]:
    """The events of a text/event-stream body."""
    events = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return events


def _raw(client: httpx.Client, jpeg: bytes, **params: str) -> httpx.Response:
    return client.post(
        "/v1/locate", params=params, content=jpeg, headers={"Content-Type": "image/jpeg"}
    )


def test_the_three_forms_of_a_request_have_one_answer(client: httpx.Client, jpeg: bytes) -> None:
    raw = _raw(client, jpeg, **_QUICK, candidates="3")
    form = client.post(
        "/v1/locate",
        files={"photo": ("../../etc/passwd", jpeg)},
        data={**_QUICK, "candidates": "3"},
    )
    encoded = client.post(
        "/v1/locate",
        json={
            "photo": base64.b64encode(jpeg).decode(),
            "options": {"generators": ["none"], "candidates": 3},
        },
    )
    answers = []
    for response in (raw, form, encoded):
        assert response.status_code == 200, response.text
        assert response.headers["x-request-id"]
        answer = Answer.model_validate_json(response.content)
        answers.append(answer.model_copy(update={"timings_ms": {}, "id": ""}))
    assert answers[0] == answers[1] == answers[2]


def test_base64_may_be_broken_into_lines(client: httpx.Client, jpeg: bytes) -> None:
    photo = base64.encodebytes(jpeg).decode()
    response = client.post("/v1/locate", json={"photo": photo, "options": {"generators": ["none"]}})
    assert response.status_code == 200, response.text


def test_an_answer_is_complete_and_says_that_it_cannot_tell(
    client: httpx.Client, jpeg: bytes, environment: dict[str, str]
) -> None:
    response = _raw(client, jpeg, generators="attributes")
    answer = Answer.model_validate_json(response.content)
    assert answer.abstention is not None
    assert answer.abstention.cause == "empty-gallery"
    assert answer.calibrated is False
    assert answer.radius_50_km <= answer.radius_90_km
    assert [*answer.within] == ["1", "25", "200", "750", "2500"]
    shares = [*answer.within.values()]
    assert shares == sorted(shares)
    assert answer.evidence.neighbours == ()
    assert (answer.photo.width, answer.photo.height, answer.photo.format) == (800, 600, "JPEG")
    assert {"decode", "encode", "search", "attributes", "posterior", "total"} <= {
        *answer.timings_ms
    }
    assert answer.heatmap is not None
    shares = [feature["properties"]["probability"] for feature in answer.heatmap["features"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.0 < sum(shares) <= 1.0 + 1e-6
    for leak in (environment["GEOFIX_DATA_DIR"], "NaN", "Infinity", str(Path.home())):
        assert leak not in response.text


def test_the_heat_map_can_be_left_out(client: httpx.Client, jpeg: bytes) -> None:
    assert _raw(client, jpeg, **_QUICK, heatmap="false").json()["heatmap"] is None


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"country": "JP"}, (24.0, 122.0, 46.0, 154.0)),
        ({"radius": "46.9,7.4,20"}, (46.7, 7.1, 47.1, 7.7)),
        ({"bbox": "-72,-55,-68,-52"}, (-55.0, -72.0, -52.0, -68.0)),
        ({"bbox": "176,-20,-179,-15"}, (-20.0, 176.0, -15.0, 181.0)),
        ({"polygon": "66,175;70,175;70,-170;66,-170"}, (65.9, 175.0, 70.5, 190.0)),
    ],
)
def test_a_filter_holds_for_the_answer(
    client: httpx.Client,
    jpeg: bytes,
    options: dict[str, str],
    where: tuple[float, float, float, float],
) -> None:
    answer = Answer.model_validate_json(_raw(client, jpeg, **_QUICK, **options).content)
    south, west, north, east = where
    assert south <= answer.position.lat <= north
    assert west <= answer.position.lon + 360 * (answer.position.lon < west) <= east


def test_stages_come_as_they_finish_and_then_the_answer(client: httpx.Client, jpeg: bytes) -> None:
    arrived: list[float] = []
    text = ""
    with client.stream(
        "POST",
        "/v1/locate",
        params={"generators": "attributes"},
        content=jpeg,
        headers={"Content-Type": "image/jpeg", "Accept": "text/event-stream"},
    ) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for chunk in response.iter_text():
            arrived.append(time.monotonic())
            text += chunk
    events = _events(text)
    stages = [str(data["stage"]) for name, data in events if name == "stage"]
    assert stages[:3] == ["decode", "encode", "search"]
    assert {"attributes", "posterior"} <= {*stages}
    assert [name for name, _ in events[len(stages) :]] == ["answer"]
    Answer.model_validate(events[-1][1])
    assert len(arrived) > 1


def test_a_bad_photo_ends_a_stream_with_its_problem(client: httpx.Client) -> None:
    response = client.post(
        "/v1/locate",
        content=b"no photo at all",
        headers={"Content-Type": "image/jpeg", "Accept": "text/event-stream"},
    )
    name, problem = _events(response.text)[-1]
    assert name == "problem"
    assert problem["status"] == 415
    assert str(problem["instance"]).endswith(response.headers["x-request-id"])


def test_a_busy_service_says_in_a_stream_too_when_to_come_back(tmp_path: Path, jpeg: bytes) -> None:
    async def run() -> None:
        app = create_app(Settings(data_dir=tmp_path / "data", max_wait_s=1e-6))
        transport = httpx.ASGITransport(app)
        async with engine(app), httpx.AsyncClient(transport=transport) as client:
            response = await client.post(
                "http://127.0.0.1/v1/locate",
                content=jpeg,
                headers={"Content-Type": "image/jpeg", "Accept": "text/event-stream"},
            )
            assert '"status":503' in response.text
            assert re.search(r"^retry: [1-9]\d*000\r?$", response.text, re.MULTILINE)

    anyio.run(run)


def test_a_bad_option_is_refused_before_a_stream_begins(client: httpx.Client, jpeg: bytes) -> None:
    response = client.post(
        "/v1/locate?colour=red",
        content=jpeg,
        headers={"Content-Type": "image/jpeg", "Accept": "text/event-stream"},
    )
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_client_that_goes_away_does_no_harm(
    client: httpx.Client, address: str, jpeg: bytes, accept: str
) -> None:
    url = urlsplit(address)
    for _ in range(5):
        with socket.create_connection((url.hostname, url.port or 80)) as connection:
            head = (
                "POST /v1/locate HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
                f"Accept: {accept}\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            connection.sendall(head.encode() + jpeg)
    assert _raw(client, jpeg, **_QUICK).status_code == 200


def test_a_gallery_that_is_not_there_is_named(client: httpx.Client, jpeg: bytes) -> None:
    response = _raw(client, jpeg, gallery="nowhere")
    assert response.status_code == 404
    assert "nowhere" in response.json()["detail"]
    assert response.json()["type"] == "urn:geofix:problem:not-found"
