import io
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from geofix.errors import InvalidSource
from indexer.evaluation.datasets import read_truth


def jpeg(path: Path, gps: Mapping[int, object] | None = None) -> None:
    exif = Image.Exif()
    if gps is not None:
        exif[0x8825] = dict(gps)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "green").save(buffer, "JPEG", exif=exif)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("images/b.jpg", "images/a.jpg", "0042"):
        jpeg(tmp_path / "set" / name)
    return tmp_path / "set"


def test_reads_a_table_in_the_order_of_the_names(photos: Path, tmp_path: Path) -> None:
    truth = tmp_path / "elsewhere.csv"
    truth.write_text("file,lat,lon,user\nimages/b.jpg,1.5,2,x\nimages/a.jpg,-3,-4,\n", "utf-8")
    labelled = read_truth(photos, truth)
    assert [photo.key for photo in labelled.photos] == ["set/images/a.jpg", "set/images/b.jpg"]
    assert (labelled.photos[1].at.lat, labelled.photos[1].at.lon) == (1.5, 2.0)
    assert labelled.photos[0].read() == (photos / "images/a.jpg").read_bytes()
    assert labelled.skipped == ()


def test_reads_parquet(photos: Path, tmp_path: Path) -> None:
    truth = tmp_path / "labels.parquet"
    columns = {"path": ["0042"], "Latitude": [10.25], "lng": [-20.5], "contributor": ["ann"]}
    pyarrow.parquet.write_table(pa.table(columns), truth)
    (photo,) = read_truth(photos, truth).photos
    assert (photo.key, photo.at.lat, photo.at.lon) == ("set/0042", 10.25, -20.5)
    assert photo.contributor == "ann"


def test_the_table_in_the_folder_is_read_without_being_named(photos: Path) -> None:
    (photos / "index.csv").write_text("file,lat,lon\nimages/a.jpg,1,1\n", "utf-8")
    assert [photo.key for photo in read_truth(photos).photos] == ["set/images/a.jpg"]


def test_skips_what_cannot_be_measured_and_says_why(photos: Path) -> None:
    truth = photos / "index.csv"
    rows = ["images/a.jpg,48.8,2.3", "images/a.jpg,48.8,2.3", "images/b.jpg,91,0", "0042,0,0"]
    truth.write_text("file,lat,lon\n" + "\n".join(rows) + "\n", "utf-8")
    labelled = read_truth(photos, truth)
    assert [photo.key for photo in labelled.photos] == ["set/images/a.jpg"]
    assert sorted((one.key, one.cause) for one in labelled.skipped) == [
        ("set/0042", "position is the placeholder (0, 0)"),
        ("set/images/a.jpg", "named twice"),
        ("set/images/b.jpg", "Latitude must lie between -90 and 90, not 91."),
    ]


@pytest.mark.parametrize("position", ["nan,1", "inf,1", "north,1", ",1", "1,"])
def test_skips_positions_that_are_no_numbers(photos: Path, position: str) -> None:
    truth = photos / "index.csv"
    truth.write_text(f"file,lat,lon\nimages/a.jpg,{position}\nimages/b.jpg,1,1\n", "utf-8")
    labelled = read_truth(photos, truth)
    assert [photo.key for photo in labelled.photos] == ["set/images/b.jpg"]
    assert [one.key for one in labelled.skipped] == ["set/images/a.jpg"]


def test_without_a_table_positions_come_from_exif(tmp_path: Path) -> None:
    place = {1: "S", 2: (33.0, 30.0, 0.0), 3: "E", 4: (151.0, 15.0, 0.0)}
    jpeg(tmp_path / "set/x/here.jpg", place)
    jpeg(tmp_path / "set/x/nowhere.jpg")
    labelled = read_truth(tmp_path / "set")
    (photo,) = labelled.photos
    assert (photo.key, photo.at.lat, photo.at.lon) == ("set/x/here.jpg", -33.5, 151.25)
    assert [(one.key, one.cause) for one in labelled.skipped] == [
        ("set/x/nowhere.jpg", "no position in EXIF")
    ]


@pytest.mark.parametrize(
    "text",
    ["", "name,lat,lon\nimages/a.jpg,1,1\n", "file,lat\nimages/a.jpg,1\n", "file,lat,lon\n"],
)
def test_a_table_that_says_nothing_is_refused(photos: Path, text: str) -> None:
    truth = photos / "index.csv"
    truth.write_text(text, "utf-8")
    with pytest.raises(InvalidSource):
        read_truth(photos, truth)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="no folder"):
        read_truth(tmp_path / "gone")
