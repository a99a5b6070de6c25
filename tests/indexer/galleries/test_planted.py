"""What is wrong with a source is found and named; what is right is let be."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geofix.geo.gazetteer import gazetteer

CLEAN, COPIES, PLACED, SWAPPED, NULL = 200, 50, 30, 20, 20
INDEX = [sys.executable, "-m", "geofix.cli.main", "index"]


def picture(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


class Planted:
    """A source with known faults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kinds: dict[str, set[str]] = {}
        self._rows: list[dict[str, object]] = []

    def plant(self, kind: str, data: bytes, lat: float, lon: float, country: str = "") -> None:
        name = f"{len(self._rows):04d}.jpg"
        (self.folder / name).write_bytes(data)
        self._rows.append({"file": name, "lat": lat, "lon": lon, "country": country})
        self.kinds.setdefault(kind, set()).add(f"trip/{name}")

    def write(self) -> None:
        random.Random(5).shuffle(self._rows)  # noqa: S311 - a seeded choice, not a secret
        with (self.folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, ["file", "lat", "lon", "country"])
            table.writeheader()
            table.writerows(self._rows)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Photos of a few regions; of the exchanged ones, every other states its country."""
    source = Planted(tmp_path_factory.mktemp("source") / "trip")
    source.folder.mkdir()
    names = gazetteer()
    choose = random.Random(4)  # noqa: S311 - a seeded choice, not a secret
    places = [
        place
        for code in ("DE", "KE", "MX", "PL", "TR")
        for place in choose.sample(
            [names.place(row) for row in range(len(names))[names.rows_of(code)]], CLEAN // 5
        )
    ]
    for i, place in enumerate(places):
        source.plant("clean", jpeg(picture(i)), place.lat, place.lon)
    for i in range(COPIES):
        source.plant("copy", jpeg(picture(i)), places[i].lat, places[i].lon)
        again = picture(COPIES + i).resize((256, 192))
        near = places[COPIES + i]
        source.plant("near", jpeg(again, 45), near.lat + 0.001, near.lon)
    for i in range(PLACED):
        other = places[(i * 37) % CLEAN]
        data = jpeg(picture(5000), 60 + i % 30)  # some of them the same bytes, some not
        source.plant("placeholder", data, other.lat, other.lon)
    for i in range(SWAPPED):
        place = places[(i * 13) % (CLEAN // 2)]
        country = place.country if i % 2 else ""
        source.plant("swapped", jpeg(picture(6000 + i)), place.lon, place.lat, country)
    for i in range(NULL):
        source.plant("null", jpeg(picture(7000 + i)), 0.0, 0.0)
    source.write()
    return source


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def report(planted: Planted, data: Path, environment: Mapping[str, str]) -> dict[str, set[str]]:
    """What the report of the build says, by flag; exact copies under ``duplicate``."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*INDEX, "build", str(planted.folder), "--json"],
        env={**environment, "GEOFIX_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    found: dict[str, set[str]] = {}
    for finding in document["findings"]:
        found.setdefault(finding["flag"], set()).add(finding["key"])
    for skipped in document["skipped"]:
        found.setdefault(skipped["status"], set()).add(skipped["key"])
    return found


@pytest.mark.parametrize(
    ("kind", "flag"),
    [("placeholder", "placeholder"), ("swapped", "swapped"), ("null", "null_island")],
)
def test_what_is_wrong_is_named(
    planted: Planted, report: dict[str, set[str]], kind: str, flag: str
) -> None:
    held = planted.kinds[kind]
    assert len(report[flag] & held) >= 0.95 * len(held)


def test_of_two_pictures_that_are_nearly_the_same_one_is_named(
    planted: Planted, report: dict[str, set[str]]
) -> None:
    originals = {f"trip/{i:04d}.jpg" for i in range(COPIES, 2 * COPIES)}
    named = report["near_duplicate"]
    assert named <= originals | planted.kinds["near"]
    assert len(named) >= 0.95 * COPIES


def test_of_two_equal_files_one_is_kept(planted: Planted, report: dict[str, set[str]]) -> None:
    originals = {f"trip/{i:04d}.jpg" for i in range(CLEAN)}
    assert len(report["duplicate"] & (planted.kinds["copy"] | originals)) == COPIES


def test_clean_photos_are_let_be(planted: Planted, report: dict[str, set[str]]) -> None:
    # Those of which there is a copy are not clean: either of the two may be named.
    clean = {f"trip/{i:04d}.jpg" for i in range(2 * COPIES, CLEAN)}
    assert clean <= planted.kinds["clean"]
    named = set().union(*report.values()) & clean
    assert len(named) <= 0.01 * len(clean)


def test_a_check_names_them_again_and_changes_nothing(
    planted: Planted, report: dict[str, set[str]], data: Path, environment: Mapping[str, str]
) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [*INDEX, "check", "--json"],
        env={**environment, "GEOFIX_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["findings"]
    swapped = {one["key"] for one in found if one["flag"] == "swapped"}
    assert swapped == report["swapped"] - report["refused"]  # a latitude beyond 90 is not taken
    assert all(one["reason"] for one in found)
