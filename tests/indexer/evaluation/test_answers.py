import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geofix.engine.encoder import Encoder
from geofix.engine.models import built_in
from geofix.engine.types import LocateOptions
from geofix.settings import Settings
from indexer.evaluation.answers import measure_answers
from indexer.evaluation.attributes import measure_attributes
from indexer.evaluation.datasets import Truth, read_truth
from indexer.evaluation.independence import LeaveOut
from indexer.evaluation.own_gallery import OWN_GALLERY, own_gallery
from indexer.evaluation.report import Report

PLACES = [(48.9, 2.3), (35.7, 139.7), (-33.9, 18.5), (40.7, -74.0), (-23.5, -46.6), (-45.0, -120.0)]
"""The last one lies on the open sea."""
OPTIONS = LocateOptions(galleries=(OWN_GALLERY,), generators=("attributes",), heatmap=False)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Photos of patterns that no network can mistake for each other, and a damaged one."""
    folder = tmp_path_factory.mktemp("photos")
    rows = ["file,lat,lon"]
    for at, (lat, lon) in enumerate(PLACES):
        pixels = np.random.default_rng(at).integers(0, 256, (3 + 2 * at, 4, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((320, 240)).save(buffer, "JPEG")
        (folder / f"{at}.jpg").write_bytes(buffer.getvalue())
        rows.append(f"{at}.jpg,{lat},{lon}")
    (folder / "damaged.jpg").write_bytes((folder / "0.jpg").read_bytes()[:300])
    rows += ["damaged.jpg,46.5,9.5", "missing.jpg,46.5,9.5"]
    (folder / "index.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return read_truth(folder)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def left_out(truth: Truth, settings: Settings) -> Report:
    return run(truth, settings, LeaveOut.ITSELF)


def run(truth: Truth, settings: Settings, leave_out: LeaveOut) -> Report:
    steps: list[None] = []

    async def measure() -> Report:
        async with own_gallery(settings, truth) as (locator, refused):
            assert sorted(Path(one.key).name for one in refused) == ["damaged.jpg", "missing.jpg"]
            assert not any(str(settings.data_dir.parent) in one.cause for one in refused)
            return await measure_answers(
                locator,
                truth,
                OPTIONS,
                leave_out=leave_out,
                progress=lambda: steps.append(None),
            )

    report = asyncio.run(measure())
    assert len(steps) == len(truth.photos) == len(PLACES) + 2
    return report


def value(report: Report, name: str) -> float:
    return next(figure.value for figure in report.figures if figure.name == name)


def test_a_photo_finds_itself_unless_it_is_left_out(
    truth: Truth, settings: Settings, left_out: Report
) -> None:
    within = run(truth, settings, LeaveOut.NOTHING)
    assert value(within, "Acc@1 km") == 1.0
    assert value(within, "GeoScore") > 4990.0
    assert value(left_out, "Acc@1 km") == 0.0
    assert value(left_out, "median error") > 1000.0


def test_answers_report_every_photo_once_and_the_same_each_time(
    truth: Truth, settings: Settings, left_out: Report
) -> None:
    assert [Path(str(row["photo"])).name for row in left_out.photos] == [
        f"{at}.jpg" for at in range(len(PLACES))
    ]
    assert [Path(one.key).name for one in left_out.skipped] == ["damaged.jpg", "missing.jpg"]
    again = run(truth, settings, LeaveOut.ITSELF)
    assert again.figures == left_out.figures
    assert again.to_markdown() == left_out.to_markdown()
    assert again.to_json() == left_out.to_json()
    assert not list(settings.data_dir.iterdir())


def test_no_path_of_this_machine_is_told(left_out: Report, settings: Settings) -> None:
    told = left_out.to_json() + left_out.to_markdown()
    assert str(settings.data_dir.parent) not in told
    assert [one.cause for one in left_out.skipped if "missing" in one.key] == [
        "The file cannot be read: No such file or directory."
    ]


def test_groups_hold_every_photo_once(left_out: Report) -> None:
    for group in left_out.groups:
        assert sum(line.photos for line in group.lines) == len(left_out.photos)
    continents = next(group for group in left_out.groups if group.property == "continent")
    assert {line.name for line in continents.lines} >= {"Africa", "Asia", "Europe", "open sea"}


def test_gains_agree_with_the_rows(left_out: Report) -> None:
    rows = [float(str(row["gain_prior_bits"])) for row in left_out.photos]
    assert value(left_out, "gain over the prior") == pytest.approx(np.mean(rows))
    assert "gain over the prior of attributes alone" in [f.name for f in left_out.figures]
    # A place that the map knows to be peopled is likelier than one anywhere on the sphere.
    assert value(left_out, "gain over the uniform sphere") > value(left_out, "gain over the prior")


def test_curves_end_where_they_must(left_out: Report) -> None:
    assert left_out.curves["share of photos by error (km)"].y[-1] == 1.0
    assert left_out.curves["recall by area searched (km²)"].y[-1] == 1.0
    assert left_out.curves["risk by coverage"].x[-1] == 1.0


def test_figures_agree_with_the_rows(left_out: Report) -> None:
    distances = np.array([row["distance_km"] for row in left_out.photos], dtype=np.float64)
    radii = np.array([row["radius_90_km"] for row in left_out.photos], dtype=np.float64)
    assert value(left_out, "mean error") == pytest.approx(distances.mean())
    assert value(left_out, "truth within the 90 % radius") == np.mean(distances <= radii)
    for figure in left_out.figures:
        assert np.isfinite(figure.value)
        if figure.low is not None and figure.high is not None:
            assert figure.low <= figure.value <= figure.high


def test_attributes_are_measured_on_land_only(truth: Truth) -> None:
    steps: list[None] = []
    encoder = Encoder.load(built_in()["lite"])
    report = measure_attributes(encoder, truth, lambda: steps.append(None))
    assert len(steps) == 8
    assert len(report.photos) == len(PLACES) - 1
    assert sorted(one.cause for one in report.skipped if "5.jpg" in one.key) == [
        "taken on the open sea"
    ]
    gains = [float(str(row["gain_bits"])) for row in report.photos]
    assert value(report, "mean gain at the truth") == pytest.approx(np.mean(gains))
    assert value(report, "worst photo") == min(gains)
    assert report == measure_attributes(encoder, truth)
