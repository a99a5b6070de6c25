"""What is kept out of a photo's search, what is dropped, and a journal that a kill cannot spoil."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from geofix.engine.types import LocateOptions
from geofix.errors import Conflict
from geofix.settings import Settings
from indexer.evaluation.answers import measure_answers
from indexer.evaluation.datasets import Truth, read_truth, together
from indexer.evaluation.independence import LeaveOut
from indexer.evaluation.own_gallery import OWN_GALLERY, own_gallery
from indexer.evaluation.report import Report

OPTIONS = LocateOptions(galleries=(OWN_GALLERY,), generators=("none",), heatmap=False)


def picture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def write(folder: Path, photos: dict[str, tuple[bytes, str]]) -> Truth:
    """Photos with ``lat,lon,contributor``, as a set."""
    folder.mkdir()
    rows = ["file,lat,lon,contributor"]
    for name, (data, row) in photos.items():
        (folder / name).write_bytes(data)
        rows.append(f"{name},{row}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return read_truth(folder)


def run(truth: Truth, settings: Settings, leave_out: LeaveOut, **more: Path) -> Report:
    async def measure() -> Report:
        async with own_gallery(settings, truth, more.get("gallery")) as (locator, _):
            return await measure_answers(
                locator, truth, OPTIONS, leave_out=leave_out, journal=more.get("journal")
            )

    return asyncio.run(measure())


def errors(report: Report) -> dict[str, float]:
    return {Path(str(r["photo"])).stem: float(str(r["distance_km"])) for r in report.photos}


def test_copies_and_a_contributors_other_photos_count_as_found_only_when_wanted(
    tmp_path: Path, settings: Settings
) -> None:
    near = picture(3).filter(ImageFilter.GaussianBlur(0.8)).resize((300, 225))
    truth = write(
        tmp_path / "set",
        {
            "original.jpg": (jpeg(picture(3)), "48.85,2.35,ann"),
            "copy.jpg": (jpeg(near, 60), "48.85,2.35,bob"),
            "other.jpg": (jpeg(picture(9)), "-33.9,18.4,cat"),
            "twice.jpg": (jpeg(picture(21)), "35.7,139.7,dan"),
            "again.jpg": (jpeg(picture(21).rotate(4)), "35.7,139.7,dan"),
        },
    )
    alone = errors(run(truth, settings, LeaveOut.ITSELF))
    assert alone["original"] < 1.0
    assert alone["twice"] < 1.0
    apart = errors(run(truth, settings, LeaveOut.RELATED))
    assert apart["original"] > 1000.0
    assert apart["copy"] > 1000.0
    assert apart["twice"] > 1000.0


def test_placeholders_and_blank_pictures_are_dropped(tmp_path: Path, settings: Settings) -> None:
    gone, real = jpeg(picture(1)), jpeg(picture(2))
    truth = write(
        tmp_path / "set",
        {
            "gone-1.jpg": (gone, "48.85,2.35,"),
            "gone-2.jpg": (gone, "-33.9,18.4,"),
            "blank.jpg": (jpeg(Image.new("RGB", (320, 240), "grey")), "10,10,"),
            "real.jpg": (real, "35.7,139.7,"),
            "same-place.jpg": (real, "35.7001,139.7,"),
        },
    )
    report = run(truth, settings, LeaveOut.NOTHING)
    assert sorted(errors(report)) == ["real", "same-place"]
    causes = {Path(one.key).stem: one.cause for one in report.skipped}
    assert causes["blank"] == "a blank picture"
    assert causes["gone-1"] == causes["gone-2"]
    assert "placeholder" in causes["gone-1"]


def test_sets_are_told_apart_and_must_not_share_names(tmp_path: Path, settings: Settings) -> None:
    first = write(tmp_path / "first", {"a.jpg": (jpeg(picture(1)), "48.85,2.35,")})
    second = write(tmp_path / "second", {"a.jpg": (jpeg(picture(2)), "-33.9,18.4,")})
    report = run(together([first, second]), settings, LeaveOut.ITSELF)
    (sets, *_) = report.groups
    assert [(line.name, line.photos) for line in sets.lines] == [("first", 1), ("second", 1)]
    with pytest.raises(Exception, match="name photos alike"):
        together([first, first])


@pytest.fixture
def small(tmp_path: Path) -> Truth:
    rows = {f"{i}.jpg": (jpeg(picture(i)), f"{10 * i - 20},{20 * i},") for i in range(4)}
    return write(tmp_path / "set", rows)


def test_a_journal_cut_short_anywhere_leads_to_the_same_figures(
    small: Truth, tmp_path: Path, settings: Settings
) -> None:
    whole = run(small, settings, LeaveOut.ITSELF)
    journal, gallery = tmp_path / "work" / "answers.jsonl", tmp_path / "work" / "gallery"
    run(small, settings, LeaveOut.ITSELF, journal=journal, gallery=gallery)
    written = journal.read_bytes()
    lines = written.splitlines(keepends=True)
    for end in (0, 10, len(lines[0]), len(lines[0]) + len(lines[1]) - 1, len(written) - 7):
        journal.write_bytes(written[:end])
        again = run(small, settings, LeaveOut.ITSELF, journal=journal, gallery=gallery)
        assert again.to_json() == whole.to_json()
        assert len(journal.read_bytes().splitlines()) == len(lines)


def test_what_the_journal_holds_is_not_measured_again(
    small: Truth, tmp_path: Path, settings: Settings
) -> None:
    journal = tmp_path / "work" / "answers.jsonl"
    run(small, settings, LeaveOut.ITSELF, journal=journal)
    first, *rows = journal.read_text("utf-8").splitlines()
    split = [row.split("\t") for row in rows]
    nearer = [(key, {**json.loads(outcome), "distance_km": 7.5}) for key, outcome in split]
    changed = [f"{key}\t{json.dumps(outcome)}" for key, outcome in nearer]
    journal.write_text("\n".join([first, *changed]) + "\n", "utf-8")
    report = run(small, settings, LeaveOut.ITSELF, journal=journal)
    assert set(errors(report).values()) == {7.5}


def test_a_journal_of_another_measurement_is_refused(
    small: Truth, tmp_path: Path, settings: Settings
) -> None:
    journal = tmp_path / "out" / "work" / "answers.jsonl"
    run(small, settings, LeaveOut.ITSELF, journal=journal)
    with pytest.raises(Conflict, match="other options"):
        run(small, settings, LeaveOut.NOTHING, journal=journal)
