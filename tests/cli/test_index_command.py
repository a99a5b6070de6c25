"""``geofix index`` on a data directory of its own, and through a service that owns one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np
import pytest
from PIL import Image

_HOLD = """
import sys, time
from pathlib import Path
from geofix.engine.gallery.directory import DataDirectory
directory = DataDirectory(Path(sys.argv[1]))
directory.acquire("geofix index build trip")
print("held", flush=True)
time.sleep(60)
"""


class Report(TypedDict):
    """What build and add print with --json."""

    added: int
    updated: int
    unchanged: int
    duplicate: int
    refused: int
    photos_in_gallery: int


@pytest.fixture(params=["own directory", "through the service"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """The environment that says where the commands work."""
    if request.param == "own directory":
        return {**os.environ, "GEOFIX_DATA_DIR": str(tmp_path / "data")}
    request.getfixturevalue("service")
    of_the_service: dict[str, str] = request.getfixturevalue("environment")
    return of_the_service


@pytest.fixture
def gallery(request: pytest.FixtureRequest) -> str:
    """A gallery of this test alone: the service is shared."""
    return f"cli-{abs(hash(request.node.name)):x}"


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    """A folder with a table of six photos; one is a copy, one has no position."""
    folder = tmp_path / "trip"
    folder.mkdir()
    rows = ["file,lat,lon,contributor"]
    for i in range(5):
        save(folder / f"{i}.jpg", i)
        rows.append(f"{i}.jpg,{40 + i},{-3 - i},{'ann' if i < 2 else 'bob'}")
    (folder / "copy.jpg").write_bytes((folder / "0.jpg").read_bytes())
    rows += ["copy.jpg,0,0,bob", "4.jpg,,,bob"]
    (folder / "index.csv").write_text("\n".join(rows))
    return folder


def save(path: Path, seed: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC).save(path)


def index(
    where: Mapping[str, str], *arguments: str, status: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "geofix.cli.main", "index", *arguments],
        env=where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_build_add_remove_and_stats(
    where: Mapping[str, str], gallery: str, trip: Path, tmp_path: Path
) -> None:
    into = ("--gallery", gallery, "--json")
    built: Report = json.loads(index(where, "build", str(trip), *into).stdout)
    assert (built["added"], built["duplicate"], built["refused"]) == (5, 1, 1)
    assert built["photos_in_gallery"] == 5
    again: Report = json.loads(index(where, "build", str(trip), *into).stdout)
    assert (again["unchanged"], again["added"], again["updated"]) == (5, 0, 0)

    save(tmp_path / "new.jpg", 77)
    add = ("add", str(tmp_path / "new.jpg"), "--lat", "-33.86", "--lon", "151.21", "--key", "opera")
    one: Report = json.loads(index(where, *add, "--contributor", "cleo", *into).stdout)
    assert (one["added"], one["photos_in_gallery"]) == (1, 6)

    stats = json.loads(index(where, "stats", *into).stdout)
    assert (stats["name"], stats["count"], stats["encoder"]) == (gallery, 6, "lite")
    assert stats["contributors"] == {"bob": 3, "ann": 2, "cleo": 1}
    assert stats["countries"]["AU"] == 1
    printed = index(where, "stats", "--gallery", gallery).stdout
    assert f"Gallery {gallery}" in printed
    assert "bob 3" in printed

    some = index(where, "remove", "trip/0.jpg", "nobody", *into, status=1)
    assert json.loads(some.stdout) == {"removed": 1, "missing": ["nobody"]}
    bobs = index(where, "remove", "--contributor", "bob", *into)
    assert json.loads(bobs.stdout) == {"removed": 3, "missing": []}
    left = json.loads(index(where, "stats", *into).stdout)
    assert left["contributors"] == {"ann": 1, "cleo": 1}


def test_the_report_for_people_names_what_was_skipped(
    where: Mapping[str, str], gallery: str, trip: Path
) -> None:
    done = index(where, "build", str(trip), "--gallery", gallery)
    assert "5 added, 1 duplicate, 1 refused" in done.stdout
    assert "duplicate  trip/copy.jpg: The same file as trip/0.jpg, 4458 km away." in done.stdout
    assert "placeholder  trip/copy.jpg" in done.stdout
    assert "It holds 5 photos." in done.stdout


def test_a_photo_without_a_position_is_refused_with_1(
    where: Mapping[str, str], gallery: str, trip: Path
) -> None:
    done = index(where, "add", str(trip / "1.jpg"), "--gallery", gallery, status=1)
    assert "no usable GPS position" in done.stdout


def test_what_is_not_there_is_told_with_1(where: Mapping[str, str], gallery: str) -> None:
    for command in (("stats",), ("remove", "a")):
        done = index(where, *command, "--gallery", gallery, status=1)
        assert "There is no gallery" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("build",),
        ("build", "x", "--colour", "red"),
        ("add", __file__, "--lat", "5"),
        ("add", __file__, "--lat", "95", "--lon", "5"),
        ("add", "nowhere.jpg"),
        ("remove",),
        ("remove", "key", "--contributor", "ann"),
        ("stats", "--gallery", "../up"),
    ],
)
def test_a_wrong_option_ends_with_2(arguments: tuple[str, ...]) -> None:
    index(os.environ, *arguments, status=2)


def test_another_owner_is_named(tmp_path: Path, trip: Path) -> None:
    data = tmp_path / "data"
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", _HOLD, str(data)], stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            where = {**os.environ, "GEOFIX_DATA_DIR": str(data)}
            done = index(where, "build", str(trip), status=1)
            assert "geofix index build trip" in done.stderr
            assert str(holder.pid) in done.stderr
            assert str(data) not in done.stderr
        finally:
            holder.kill()
