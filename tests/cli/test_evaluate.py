import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

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
    assert str(photos) not in shown


def test_an_unknown_channel_is_a_usage_error(photos: Path) -> None:
    code, _ = run(photos, "--channel", "smell")
    assert code == 2


def test_a_rule_that_the_encoder_cannot_follow_is_a_sentence(photos: Path) -> None:
    code, shown = run(photos, "--rule", "g3", "--generators", "none")
    assert code == 1
    assert "sees no places" in shown


def test_rules_are_measured_with_an_encoder_that_can(
    photos: Path,
    tmp_path: Path,
    aligned_model: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GEOFIX_MODEL", aligned_model(tmp_path / "data"))
    settings.cache_clear()
    out = tmp_path / "out"
    code, shown = run(
        photos, "--leave-one-out", "--generators", "none", "--rule", "geoclip", "--out", str(out)
    )
    assert code == 0, shown
    document = json.loads((out / "figures.json").read_text("utf-8"))
    assert document["about"]["rule"] == "geoclip"
    assert document["about"]["calibrated"] == "no"
    # Two photos, each searched among the other: the rule can only choose that one.
    answers = [(row["answer_lat"], row["answer_lon"]) for row in document["photos"]]
    assert answers == [(40.0, -3.0), (48.9, 2.3)]


def test_a_published_set_leaves_related_photos_out_unless_told(
    photos: Path, tmp_path: Path
) -> None:
    table = tmp_path / "gws15k.csv"
    table.write_text("path,lat,lon\na.jpg,48.9,2.3\nb.jpg,40,-3\n", "utf-8")
    command = ["evaluate", "--photos", str(photos), "--layout", "gws15k", "--truth", str(table)]
    for more, left_out in (([], "near-duplicates"), (["--keep-related"], "search: nothing")):
        file = tmp_path / "report.md"
        command_line = [*command, *more, "--generators", "none", "--markdown", str(file)]
        result = CliRunner().invoke(main, command_line, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert left_out in file.read_text("utf-8")


@pytest.mark.parametrize(
    "wrong", [["--layout", "gws15k"], ["--coordinates", "truth.csv"], ["--layout", "nobodys"]]
)
def test_options_that_do_not_go_together_are_usage_errors(photos: Path, wrong: list[str]) -> None:
    wrong = [str(photos.parent / part) if part.endswith(".csv") else part for part in wrong]
    result = CliRunner().invoke(main, ["evaluate", "--photos", str(photos), *wrong])
    assert result.exit_code == 2


def many(folder: Path, count: int) -> Path:
    folder.mkdir()
    rows = ["file,lat,lon"]
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((640, 480)).save(buffer, "JPEG")
        (folder / f"{i}.jpg").write_bytes(buffer.getvalue())
        rows.append(f"{i}.jpg,{2 * i - 40},{6 * i - 100}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


def test_a_run_killed_in_the_middle_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOFIX_DATA_DIR", str(tmp_path / "data"))
    settings.cache_clear()
    folder, killed, whole = many(tmp_path / "set", 24), tmp_path / "killed", tmp_path / "whole"
    command = ["evaluate", "--photos", str(folder), "--leave-one-out", "--generators", "none"]
    program = [sys.executable, "-m", "geofix.cli.main", *command, "--out", str(killed)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        program,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    journal, deadline = killed / "work" / "answers.jsonl", time.monotonic() + 90
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= journal.read_bytes().count(b"\n") < 25
    assert not (killed / "figures.json").exists()
    for out in (killed, whole):
        result = CliRunner().invoke(main, [*command, "--out", str(out)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert not (killed / "work").exists()
    for name in ("figures.json", "report.md", "errors.png", "reliability.png"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert {row["name"] for row in json.loads((whole / "timings.json").read_text("utf-8"))} == {
        "latency, p50",
        "latency, p95",
    }
    settings.cache_clear()
