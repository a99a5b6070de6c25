from pathlib import Path

import numpy as np
from PIL import Image

from geofix.engine.types import LEVELS_KM
from indexer.evaluation import figures, plots
from indexer.evaluation.measuring import Measured
from indexer.evaluation.report import Report


def photos(count: int) -> list[Measured]:
    rng = np.random.default_rng(1)
    return [
        Measured(
            photo=f"set/{i}.jpg",
            set="set",
            lat=48.85,
            lon=2.35,
            country="FR",
            continent="EU",
            answer_lat=40.0,
            answer_lon=3.0,
            distance_km=float(km),
            radius_50_km=float(rng.uniform(1, 5000)),
            radius_90_km=9000.0,
            within={f"{level:g}": float(p) for level, p in zip(LEVELS_KM, claimed, strict=True)},
            area_km2=float(km) ** 1.5,
            gain_uniform_bits=8.0,
            gain_prior_bits=float(bits),
            channel_bits={"retrieval": float(bits)} if i % 2 else {},
            sha256=str(i),
            calibrated="",
        )
        for i, (km, bits, claimed) in enumerate(
            zip(
                rng.uniform(0.1, 9000, count),
                rng.normal(2, 1, count),
                np.sort(rng.uniform(0, 1, (count, len(LEVELS_KM))), axis=1),
                strict=True,
            )
        )
    ]


def report(measured: list[Measured]) -> Report:
    return Report(
        "Answers",
        {},
        figures.figures(measured),
        groups=figures.groups(measured),
        curves=figures.curves(measured),
    )


def test_every_plot_is_a_picture_and_equal_reports_give_equal_files(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        files = plots.draw(report(photos(30)), folder)
    assert len(files) == 5
    for file in files:
        first, second = ((folder / file).read_bytes() for folder in folders)
        assert first == second
        pixels = np.asarray(Image.open(folders[0] / file).convert("L"))
        assert pixels.std() > 5.0
    assert f"]({files[0]})" in report(photos(30)).to_markdown(files)


def test_a_single_photo_can_be_drawn(tmp_path: Path) -> None:
    assert plots.draw(report(photos(1)), tmp_path)


def test_a_channel_that_is_silent_gains_nothing_on_that_photo() -> None:
    measured = photos(20)
    found = {figure.name: figure.value for figure in figures.figures(measured)}
    spoke = [photo.channel_bits.get("retrieval", 0.0) for photo in measured]
    assert np.isclose(found["gain over the prior of retrieval alone"], np.mean(spoke))
    assert "gain over the prior of text alone" not in found
