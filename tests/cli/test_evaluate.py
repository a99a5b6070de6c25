import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from geofix.cli.main import main
from geofix.settings import settings


@pytest.fixture
def photos(tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GEOFIX_DATA_DIR", str(tmp_path / "data"))
    settings.cache_clear()
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg)
    (folder / "b.jpg").write_bytes(jpeg + b"another file of the same picture")
    (tmp_path / "truth.csv").write_text("file,lat,lon\na.jpg,48.9,2.3\nb.jpg,40,-3\n", "utf-8")
    yield folder
    settings.cache_clear()


def run(photos: Path, *more: str) -> tuple[int, str]:
    truth = str(photos.parent / "truth.csv")
    command = ["evaluate", "--photos", str(photos), "--truth", truth, *more]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    return result.exit_code, result.output


def test_attributes_are_measured_without_a_gallery(photos: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{run}.json" for run in range(2)]
    for file in files:
        code, shown = run(photos, "--channel", "attributes", "--json", str(file))
        assert code == 0
        assert "mean gain at the truth" in shown
        assert "bits" in shown
    assert files[0].read_bytes() == files[1].read_bytes()
    document = json.loads(files[0].read_text("utf-8"))
    assert [row["photo"] for row in document["photos"]] == ["photos/a.jpg", "photos/b.jpg"]
    assert document["figures"][0]["low"] <= document["figures"][0]["value"]


def test_leaving_one_out_needs_no_gallery(photos: Path, tmp_path: Path) -> None:
    markdown = tmp_path / "report.md"
    code, shown = run(
        photos, "--leave-one-out", "--generators", "none", "--markdown", str(markdown)
    )
    assert code == 0
    assert "Acc@25 km" in shown
    assert "| Acc@1 km | 0.0 % |" in markdown.read_text("utf-8")


def test_an_empty_gallery_still_gives_figures(photos: Path) -> None:
    code, shown = run(photos, "--generators", "none")
    assert code == 0
    assert "abstained" in shown
    assert "100.0 %" in shown


def test_a_gallery_that_is_not_there_is_named(photos: Path) -> None:
    code, shown = run(photos, "--gallery", "nowhere")
    assert code == 1
    assert "nowhere" in shown


def test_a_photo_that_is_not_there_is_named(photos: Path) -> None:
    (photos / "b.jpg").unlink()
    code, shown = run(photos, "--channel", "attributes")
    assert code == 0
    assert "skipped photos/b.jpg" in shown


def test_an_unknown_channel_is_a_usage_error(photos: Path) -> None:
    code, _ = run(photos, "--channel", "smell")
    assert code == 2
