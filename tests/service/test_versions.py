"""A gallery changes its encoder while it is searched; nobody notices but by the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.encoders import add_image_encoder
from geofix.engine.gallery import canaries, versions
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import remove_version
from geofix.engine.gallery.progress import Notes
from geofix.engine.gallery.records import point_id

PHOTOS = 24
Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]


@pytest.fixture(scope="module")
def environment_(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    data = tmp_path_factory.mktemp("versions") / "data"
    add_image_encoder(data, "tiles")
    return {**os.environ, "GEOFIX_DATA_DIR": str(data)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with a table of their positions."""
    where = tmp_path_factory.mktemp("photos")
    lines = ["file,lat,lon,contributor"]
    for i in range(PHOTOS):
        coarse = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC)
        picture.save(where / f"{i}.jpg")
        lines.append(f"{i}.jpg,{i},{2 * i},c{i % 3}")
    (where / "index.csv").write_text("\n".join(lines) + "\n")
    return where


@pytest.fixture(scope="module")
def own(environment_: dict[str, str], serving: Serving) -> Iterator[httpx.Client]:
    with serving(environment_):
        owner = DataDirectory(Path(environment_["GEOFIX_DATA_DIR"])).owner()
        assert owner is not None
        with httpx.Client(base_url=owner.address, timeout=60.0) as client:
            yield client


def geofix(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geofix.cli.main", *arguments]
    return subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_new_encoder_while_photos_are_located(
    own: httpx.Client, environment_: dict[str, str], folder: Path
) -> None:
    built = geofix(environment_, "index", "build", str(folder), "--prefix", "p", "--json")
    assert built.returncode == 0, built.stderr
    labelled = geofix(environment_, "index", "canaries", str(folder))
    assert labelled.returncode == 0, labelled.stderr
    assert f"has {PHOTOS} canaries; 0 were skipped" in labelled.stdout
    photo = (folder / "3.jpg").read_bytes()
    failures: list[str] = []
    encoders: list[tuple[str, str, int]] = []
    stop = threading.Event()

    def search() -> None:
        with httpx.Client(base_url=own.base_url, timeout=60.0) as client:
            while not stop.is_set():
                answer = client.post(
                    "/v1/locate?generators=none", files={"photo": ("a.jpg", photo)}
                )
                if answer.status_code != 200:
                    failures.append(answer.text)
                    continue
                found = answer.json()
                gallery = found["galleries"][0]
                best = found["evidence"]["neighbours"][0]
                if best["id"] != point_id("default", "p/3.jpg"):
                    failures.append(str(best))
                encoders.append((found["encoder"], gallery["encoder"], gallery["version"]))

    searching = threading.Thread(target=search)
    searching.start()
    try:
        made = geofix(environment_, "index", "reindex", "--model", "tiles", "--json")
        assert made.returncode == 0, made.stderr
        gone = point_id("default", "p/7.jpg")
        assert own.delete(f"/v1/galleries/default/photos/{gone}").status_code == 204
    finally:
        stop.set()
        searching.join()
    assert not failures, failures[:3]
    assert json.loads(made.stdout)["version"] == 2
    assert set(encoders) <= {("lite", "lite", 1), ("tiles", "tiles", 2)}
    listed = own.get("/v1/galleries/default/versions").json()["versions"]
    assert [(v["version"], v["state"], v["encoder"]) for v in listed] == [
        (1, "retired", "lite"),
        (2, "active", "tiles"),
    ]
    figures = listed[1]["figures"]
    assert figures["recall"] >= 0.98
    assert (figures["canaries"], figures["accuracy"]) == (PHOTOS, 1.0)
    answer = own.post("/v1/locate?generators=none", files={"photo": ("a.jpg", photo)}).json()
    assert answer["encoder"] == "tiles"
    assert 'geofix_gallery_swaps_total{outcome="activated"} 1.0' in own.get("/metrics").text


def test_what_is_added_to_the_new_version_goes_back_with_the_rest(
    own: httpx.Client, folder: Path
) -> None:
    assert own.get("/v1/galleries/default").json()["encoder"] == "tiles"
    fresh = np.random.default_rng(77).integers(0, 256, (180, 240, 3), dtype=np.uint8)
    extra = folder / "extra.png"
    Image.fromarray(fresh).save(extra)
    added = own.post(
        "/v1/galleries/default/photos",
        files={"photo": ("a.png", extra.read_bytes())},
        data={"lat": "1", "lon": "1", "key": "extra", "uri": extra.resolve().as_uri()},
    )
    assert added.status_code == 201, added.text
    back = own.post("/v1/galleries/default/activate", json={"version": 1})
    assert back.status_code == 200, back.text
    answer = own.post(
        "/v1/locate?generators=none", files={"photo": ("a.png", extra.read_bytes())}
    ).json()
    assert answer["encoder"] == "lite"
    assert answer["evidence"]["neighbours"][0]["id"] == point_id("default", "extra")
    assert own.get("/v1/galleries/default").json()["count"] == PHOTOS


def test_a_version_that_is_being_built_says_how_far_it_is(
    own: httpx.Client, environment_: dict[str, str]
) -> None:
    gallery = DataDirectory(Path(environment_["GEOFIX_DATA_DIR"])).gallery("default")
    before = own.get("/v1/galleries/default/versions").json()["versions"]
    assert [version["progress"] for version in before] == [None] * len(before)
    begun = replace(versions.read(gallery, 1), version=9, state=versions.VersionState.BUILDING)
    versions.write(gallery, begun)
    try:
        Notes(gallery, 9).note(7, PHOTOS)
        listed = own.get("/v1/galleries/default/versions").json()["versions"]
    finally:
        remove_version(gallery, 9)
    said = listed[-1]["progress"]
    assert (listed[-1]["state"], said["done"], said["total"]) == ("building", 7, PHOTOS)
    assert versions.age_s(said["at"]) < 60


def test_a_version_whose_canaries_fail_is_taken_back_and_raises_the_alerts_metric(
    own: httpx.Client, environment_: dict[str, str], folder: Path
) -> None:
    taken_back = 'geofix_gallery_swaps_total{outcome="rolled-back"}'
    assert f"{taken_back} 0.0" in own.get("/metrics").text
    asked = ("--model", "tiles", "--keep-old", "--json")
    made = geofix(environment_, "index", "reindex", *asked)
    assert made.returncode == 0, made.stderr
    version = json.loads(made.stdout)["version"]
    where = Path(environment_["GEOFIX_DATA_DIR"]) / "galleries" / "default" / f"v{version}"
    card = json.loads((where / "version.json").read_text("utf-8"))
    spoilt = [replace(point, lat=-80.0) for point in canaries.read(where)]
    canaries.write(where, spoilt, card["dimension"])

    answer = own.post("/v1/galleries/default/activate", json={"version": version})
    assert answer.json()["type"] == "urn:geofix:problem:canaries-failed", answer.text
    assert f"{taken_back} 1.0" in own.get("/metrics").text
    listed = own.get("/v1/galleries/default/versions").json()["versions"]
    assert {v["version"]: v["state"] for v in listed} == {
        1: "active",
        2: "retired",
        version: "rejected",
    }
    photo = (folder / "3.jpg").read_bytes()
    found = own.post("/v1/locate?generators=none", files={"photo": ("b.jpg", photo)}).json()
    assert (found["encoder"], found["galleries"][0]["version"]) == ("lite", 1)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/galleries/default/activate", {"version": 99}, 404),
        ("/v1/galleries/default/activate", {"version": 0}, 422),
        ("/v1/galleries/nowhere/activate", {"version": 1}, 404),
        ("/v1/galleries/default/reindex", {"model": "none"}, 422),
        ("/v1/galleries/default/reindex", {}, 503),
        ("/v1/galleries/default/reindex", {"pace": 0}, 422),
        ("/v1/galleries/nowhere/reindex", {}, 404),
        ("/v1/galleries/nowhere/versions", None, 404),
    ],
)
def test_what_cannot_be_done_is_said(
    own: httpx.Client, path: str, body: dict[str, object] | None, status: int
) -> None:
    response = own.get(path) if body is None else own.post(path, json=body)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_only_a_worker_hands_versions_over(own: httpx.Client) -> None:
    path = "/v1/internal/galleries/default/versions/1/activate"
    assert own.post(path).status_code == 403
