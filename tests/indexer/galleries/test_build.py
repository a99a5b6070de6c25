"""A gallery is filled from a source, whatever the source holds and whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Point
from geofix.settings import Settings

PHOTOS = 80
INDEX = [sys.executable, "-m", "geofix.cli.main", "index"]


def picture(seed: int) -> Image.Image:
    """A picture of its own for every seed: coarse coloured noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder ``trip`` with 80 photos in a table, and the ways in which rows go wrong."""
    folder = tmp_path_factory.mktemp("source") / "trip"
    (folder / "images").mkdir(parents=True)
    rng = random.Random(3)  # noqa: S311 - a seeded choice, not a secret
    rows: list[dict[str, object]] = []
    for i in range(PHOTOS):
        picture(i).save(folder / "images" / f"{i:03d}.jpg", quality=80)
        rows.append(
            {
                "file": f"images/{i:03d}.jpg",
                "lat": round(rng.uniform(-60, 70), 6),
                "lon": round(rng.uniform(-180, 180), 6),
                "country": "",
                "license": "CC0-1.0",
                "captured_at": "2019-05",
            }
        )
    whole = (folder / "images" / "000.jpg").read_bytes()
    (folder / "images" / "copy.jpg").write_bytes(whole)
    (folder / "images" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "images" / "text.jpg").write_text("not a photo")
    picture(900).save(folder / "images" / "fine.png")
    wrong = [
        ("images/copy.jpg", 1, 2),
        ("images/cut.jpg", 1, 2),
        ("images/text.jpg", 1, 2),
        ("images/gone.jpg", 1, 2),
        ("images/001.jpg", 50, 50),
        ("images/fine.png", 95, 0),
        ("fine.png", 5, 200),
        ("images/./fine.png", "north", 0),
        ("images//fine.png", "nan", 0),
        ("", 1, 2),
    ]
    rows[40:40] = [{"file": file, "lat": lat, "lon": lon} for file, lat, lon in wrong]
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the gallery built in one go."""
    data = tmp_path_factory.mktemp("data")
    assert index(data, "build", str(source))["added"] == PHOTOS
    return data


def environment(data: Path) -> dict[str, str]:
    return {**os.environ, "GEOFIX_DATA_DIR": str(data), "GEOFIX_THREADS": "1"}


def index(data: Path, *arguments: str, status: int = 0) -> dict[str, object]:
    """The JSON document of one ``geofix index`` command."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*INDEX, *arguments, "--json"],
        env=environment(data),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def points(data: Path, gallery: str = "default") -> dict[str, Point]:
    """Everything in a gallery, by key."""

    async def read() -> dict[str, Point]:
        directory = DataDirectory(data)
        directory.acquire("test")
        galleries = Galleries(directory, Settings(data_dir=data))
        try:
            opened = await galleries.open(gallery)
            return {point.key: point async for page in opened.scroll() for point in page}
        finally:
            await galleries.close()
            directory.release()

    return asyncio.run(read())


def manifest(data: Path, gallery: str = "default") -> list[dict[str, object]]:
    """The rows of a gallery's manifest."""
    path = data / "galleries" / gallery / "v1" / "manifest.parquet"
    rows: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return rows


def assert_equal(built: Path, expected: Path) -> None:
    """The same ids, positions and vectors for every key, in the index and in the manifest."""
    ours, theirs = points(built), points(expected)
    assert ours.keys() == theirs.keys()
    for key, point in ours.items():
        other = theirs[key]
        assert point.id == other.id == point_id("default", key)
        assert (point.lat, point.lon) == pytest.approx((other.lat, other.lon), abs=1e-9)
        assert (point.sha256, point.country) == (other.sha256, other.country)
        # The last bits of a vector depend on how many photos were encoded at once.
        np.testing.assert_allclose(point.image, other.image, atol=1e-5)
        assert point.gps is not None
        assert other.gps is not None
        np.testing.assert_allclose(point.gps, other.gps, atol=1e-5)
    rows = manifest(built)
    assert len(rows) == len(ours)
    assert {str(row["key"]): row["sha256"] for row in rows} == {
        key: point.sha256 for key, point in ours.items()
    }


def test_what_is_wrong_is_skipped_with_a_reason(source: Path, tmp_path: Path) -> None:
    report = index(tmp_path, "build", str(source))
    assert (report["added"], report["duplicate"], report["refused"]) == (PHOTOS, 2, 8)
    skipped = report["skipped"]
    assert isinstance(skipped, list)
    reasons = {entry["key"]: (entry["status"], entry["reason"]) for entry in skipped}
    expected = {
        "trip/images/copy.jpg": ("duplicate", "images/000.jpg"),
        "trip/images/001.jpg": ("duplicate", "another photo with this key"),
        "trip/images/cut.jpg": ("refused", "damaged"),
        "trip/images/text.jpg": ("refused", "must be a JPEG"),
        "trip/images/gone.jpg": ("refused", "No such file"),
        "trip/images/fine.png": ("refused", "Latitude"),
        "trip/fine.png": ("refused", "Longitude"),
        "trip/images/./fine.png": ("refused", "no two numbers"),
        "trip/images//fine.png": ("refused", "finite"),
        "row 50": ("refused", "names no file"),
    }
    assert reasons.keys() == expected.keys()
    for key, (status, part) in expected.items():
        assert reasons[key][0] == status
        assert part in reasons[key][1], reasons[key]


def test_every_row_keeps_its_own_position_and_file(source: Path, undisturbed: Path) -> None:
    held = points(undisturbed)
    with (source / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["license"]]
    assert len(rows) == len(held) == PHOTOS
    for row in rows:
        point = held[f"trip/{row['file']}"]
        assert (point.lat, point.lon) == pytest.approx((float(row["lat"]), float(row["lon"])))
        assert point.uri == (source / row["file"]).resolve().as_uri()
        assert (point.licence, point.captured_at) == ("CC0-1.0", "2019-05")
        assert np.linalg.norm(point.image) == pytest.approx(1.0, abs=1e-5)
        assert point.gps is not None
        assert len(point.phash) == 16


def test_a_second_run_changes_nothing(source: Path, undisturbed: Path) -> None:
    report = index(undisturbed, "build", str(source))
    assert (report["unchanged"], report["added"], report["updated"]) == (PHOTOS, 0, 0)
    assert report["photos_in_gallery"] == PHOTOS


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_loses_nothing_doubles_nothing_and_shifts_no_row(
    source: Path, undisturbed: Path, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a seeded choice, not a secret
    log = tmp_path / "galleries" / "default" / "v1" / "mutations.log"
    killed = 0
    for _ in range(3):
        before = size(log)
        child = start_build(source, tmp_path)
        # Either right after so many batches (16 photos are 116 KB), or a moment later.
        wait_until(child, log, before + rng.choice([1, 120_000, 300_000]))
        time.sleep(rng.choice([0.0, rng.uniform(0.0, 0.2)]))
        child.kill()
        child.communicate()
        killed += child.returncode == -signal.SIGKILL
    assert killed
    report = index(tmp_path, "build", str(source))
    assert report["photos_in_gallery"] == PHOTOS
    assert_equal(tmp_path, undisturbed)


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    log = tmp_path / "galleries" / "default" / "v1" / "mutations.log"
    child = start_build(source, tmp_path)
    wait_until(child, log, 1)
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=30)
    report = json.loads(out)
    assert child.returncode == 130, errors
    assert report["interrupted"] is True
    assert "Traceback" not in errors
    again = index(tmp_path, "build", str(source))
    assert again["unchanged"] >= report["added"]
    assert_equal(tmp_path, undisturbed)


def test_parquet_is_read_like_csv(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    table = pa.csv.read_csv(
        source / "index.csv",
        convert_options=pa.csv.ConvertOptions(
            column_types={"lat": pa.string(), "lon": pa.string()}
        ),
    )
    kept = [i for i, row in enumerate(table.to_pylist()) if row["license"]]
    good = table.take(pa.array(kept))
    for name in ("lat", "lon"):
        column = good.schema.get_field_index(name)
        good = good.set_column(column, name, good.column(name).cast(pa.float64()))
    path = source / "photos.parquet"
    pq.write_table(good, path)
    assert index(tmp_path, "build", str(path))["added"] == PHOTOS
    assert_equal(tmp_path, undisturbed)


def test_a_folder_gives_the_positions_in_exif(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    (folder / "day 1").mkdir(parents=True)
    save_with_position(folder / "day 1" / "a.jpg", 1, (48, 51, 29.6), "N", (2, 17, 40.2), "E")
    save_with_position(folder / "b.JPG", 2, (33, 51, 24.5), "S", (151, 12, 54.5), "E")
    picture(3).save(folder / "nowhere.jpg")
    (folder / "notes.txt").write_text("no photo")
    report = index(tmp_path / "data", "build", str(folder), "--contributor", "me")
    assert (report["added"], report["refused"]) == (2, 1)
    held = points(tmp_path / "data")
    assert held.keys() == {"holiday/day 1/a.jpg", "holiday/b.JPG"}
    paris, sydney = held["holiday/day 1/a.jpg"], held["holiday/b.JPG"]
    assert (paris.lat, paris.lon) == pytest.approx((48.858222, 2.294500), abs=1e-5)
    assert (sydney.lat, sydney.lon) == pytest.approx((-33.856806, 151.215139), abs=1e-5)
    assert (paris.country, sydney.country) == ("FR", "AU")
    assert paris.contributor == "me"


def test_an_unusable_source_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "columns.csv").write_text("name,where\na.jpg,here\n")
    (tmp_path / "fake.parquet").write_text("PAR1 not really")
    picture(1).save(tmp_path / "photo.jpg")
    for name, part in {
        "empty": "no photos",
        "columns.csv": "no column file nor lat nor lon",
        "fake.parquet": "cannot be read as Parquet",
        "photo.jpg": "neither a folder nor",
        "nowhere": "no folder or file",
    }.items():
        done = subprocess.run(  # noqa: S603 - our own command
            [*INDEX, "build", str(tmp_path / name)],
            env=environment(tmp_path / "data"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert part in done.stderr
        assert "Traceback" not in done.stderr


def save_with_position(
    path: Path, seed: int, lat: Sequence[float], ns: str, lon: Sequence[float], ew: str
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: ns, 2: tuple(lat), 3: ew, 4: tuple(lon)})
    picture(seed).save(path, format="JPEG", exif=exif)


def start_build(source: Path, data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command
        [*INDEX, "build", str(source), "--json"],
        env=environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(child: subprocess.Popen[str], log: Path, grown_to: int) -> None:
    """Wait until the log has so many bytes, or the build has ended."""
    while child.poll() is None and size(log) < grown_to:
        time.sleep(0.002)


def size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
