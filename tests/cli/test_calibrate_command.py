"""``geofix calibrate``, then answers of the command and of the service."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from geofix.cli.main import main
from geofix.engine.gallery.directory import DataDirectory
from geofix.settings import Settings, settings
from service.app import create_app, engine

SET = 204
KNOWN = 24

pytestmark = pytest.mark.timeout(900)
"""Two hundred photos are located: minutes, where many others share the processors."""


def jpeg(seed: int, blur: float = 0.0) -> bytes:
    """A pattern that no other seed has; blurred it is another photo of the same."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (6, 6, 3)).astype(float)
    pixels += blur * np.random.default_rng(seed + 10_000).normal(size=pixels.shape)
    buffer = io.BytesIO()
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image.resize((112, 112), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def place(seed: int) -> tuple[float, float]:
    lat, lon = np.random.default_rng(seed).uniform((-50, -170), (65, 170))
    return round(float(lat), 4), round(float(lon), 4)


def run(*command: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(command), catch_exceptions=False)
    return result.exit_code, result.output


def located(photo: Path) -> dict[str, object]:
    result = CliRunner().invoke(main, ["locate", str(photo), "--json", "--generators", "none"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled photos, every third of a place of which the gallery holds another photo."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = ["photo,lat,lon,contributor"]
    for i in range(SET):
        seed = i % KNOWN if i % 3 == 0 else 100 + i
        (folder / f"{i}.jpg").write_bytes(jpeg(seed, blur=1.0 + i))
        lat, lon = place(seed)
        rows.append(f"{i}.jpg,{lat},{lon},person {i % 50}")
    (folder / "truth.csv").write_text("\n".join(rows) + "\n", "utf-8")
    gallery = folder / "gallery"
    gallery.mkdir()
    rows = ["file,lat,lon"]
    for seed in range(KNOWN):
        (gallery / f"{seed}.jpg").write_bytes(jpeg(seed))
        rows.append("{}.jpg,{},{}".format(seed, *place(seed)))
    (gallery / "index.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def calibrated(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a gallery, calibrated on the labelled photos."""
    data = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOFIX_DATA_DIR", str(data))
        settings.cache_clear()
        assert run("index", "build", str(photos / "gallery"))[0] == 0
        code, shown = run(*calibrate(photos), "--name", "survey")
        settings.cache_clear()
    assert code == 0, shown
    assert f"Calibrated on {SET} photos of survey" in shown
    assert f"gallery default ({KNOWN} photos)" in shown
    return data


@pytest.fixture
def data(calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it that the commands use."""
    copy = tmp_path / "data"
    for file in calibrated.rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(calibrated)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    monkeypatch.setenv("GEOFIX_DATA_DIR", str(copy))
    settings.cache_clear()
    yield copy
    settings.cache_clear()


def calibrate(photos: Path, truth: str = "truth.csv") -> list[str]:
    return ["calibrate", "--photos", str(photos), "--truth", str(photos / truth),
            "--generators", "none"]  # fmt: skip


NAMED = {
    "dataset": "survey",
    "photos": SET,
    "date": datetime.now(UTC).date().isoformat(),
    "simulated": False,
}


def test_answers_name_the_set_its_size_and_its_date(data: Path, photos: Path) -> None:
    assert located(photos / "1.jpg")["calibrated"] == NAMED
    _, shown = run("locate", str(photos / "1.jpg"), "--generators", "none")
    assert f"on {SET} photos of survey, {NAMED['date']}" in shown


def test_so_do_those_of_the_service(data: Path) -> None:
    async def ask() -> httpx.Response:
        app = create_app(Settings(data_dir=data))
        transport = httpx.ASGITransport(app)
        async with (
            engine(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            headers = {"Content-Type": "image/jpeg"}
            return await client.post(
                "/v1/locate?generators=none", content=jpeg(3, 9.0), headers=headers
            )

    response = asyncio.run(ask())
    assert response.status_code == 200
    assert response.json()["calibrated"] == NAMED


def test_the_promises_hold_for_the_photos_that_were_promised(data: Path, photos: Path) -> None:
    report = data / "report.json"
    command = ["evaluate", *calibrate(photos)[1:], "--json", str(report)]
    assert run(*command)[0] == 0
    figures = {figure["name"]: figure for figure in json.loads(report.read_text())["figures"]}
    assert 0.85 <= figures["truth within the 90 % radius"]["value"] <= 0.95
    assert 0.42 <= figures["truth within the 50 % radius"]["value"] <= 0.58


def test_one_can_go_back(data: Path, photos: Path) -> None:
    code, shown = run("calibrate", "--reset")
    assert code == 0
    assert "Forgotten" in shown
    assert located(photos / "1.jpg")["calibrated"] is False
    code, shown = run("calibrate", "--reset")
    assert code == 1
    assert "no calibration" in shown


def test_another_gallery_has_no_part_in_it(data: Path, photos: Path) -> None:
    other = ("--gallery", "other")
    assert run("index", "build", str(photos / "gallery"), *other)[0] == 0
    code, shown = run("locate", str(photos / "1.jpg"), "--json", "--generators", "none", *other)
    assert code == 0
    assert json.loads(shown)["calibrated"] is False


def test_a_gallery_of_another_size_is_another_gallery(data: Path, photos: Path) -> None:
    keys = [f"gallery/{seed}.jpg" for seed in range(KNOWN)]
    assert run("index", "remove", *keys[: KNOWN // 2])[0] == 0
    assert located(photos / "1.jpg")["calibrated"] == NAMED
    assert run("index", "remove", keys[-1])[0] == 0
    assert located(photos / "1.jpg")["calibrated"] is False


def test_another_encoders_calibration_is_passed_over(
    data: Path,
    photos: Path,
    aligned_model: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GEOFIX_MODEL", aligned_model(data))
    monkeypatch.setenv("GEOFIX_GALLERY", "unbuilt")
    settings.cache_clear()
    assert located(photos / "1.jpg")["calibrated"] is False


@pytest.mark.parametrize("damage", ["cut", "other", "infinite", "empty"])
def test_a_damaged_calibration_is_named_and_can_be_left(
    data: Path, photos: Path, damage: str
) -> None:
    (file,) = (data / "calibrations").iterdir()
    whole = json.loads(file.read_text())
    match damage:
        case "cut":
            file.write_bytes(file.read_bytes()[:500])
        case "other":
            del whole["figures"]["levels"]["200.0"]
            file.write_text(json.dumps(whole))
        case "infinite":
            whole["figures"]["radii"]["0.9"] = float("inf")
            file.write_text(json.dumps(whole))
        case _:
            file.write_bytes(b"")
    code, shown = run("locate", str(photos / "1.jpg"), "--generators", "none")
    assert code == 1
    assert "damaged" in shown
    assert "geofix calibrate --reset" in shown
    assert str(data) not in shown
    assert run("calibrate", "--reset")[0] == 0
    assert located(photos / "1.jpg")["calibrated"] is False


def test_fewer_than_200_photos_are_refused_at_once(data: Path, photos: Path) -> None:
    rows = (photos / "truth.csv").read_text().splitlines()
    (photos / "few.csv").write_text("\n".join(rows[:200]) + "\n", "utf-8")
    code, shown = run(*calibrate(photos, "few.csv"))
    assert code == 2
    assert "199 labelled photos are too few" in shown
    assert "200" in shown
    assert located(photos / "1.jpg")["calibrated"] == NAMED


def test_photos_that_cannot_be_read_do_not_count(data: Path, photos: Path) -> None:
    rows = (photos / "truth.csv").read_text().splitlines()
    missing = [f"missing {i}.jpg,1,1,x" for i in range(2)]
    (photos / "short.csv").write_text("\n".join([*rows[:200], *missing]) + "\n", "utf-8")
    code, shown = run(*calibrate(photos, "short.csv"))
    assert code == 2
    assert "199 labelled photos are too few" in shown


def test_while_another_process_owns_the_data_directory_it_says_what_to_do(
    data: Path, photos: Path
) -> None:
    holder = DataDirectory(data)
    holder.acquire("geofix serve", "http://127.0.0.1:1")
    try:
        for command in (calibrate(photos), ["calibrate", "--reset"]):
            code, shown = run(*command)
            assert code == 1
            assert "held by `geofix serve`" in shown
            assert "while it is stopped" in shown
    finally:
        holder.release()


@pytest.mark.parametrize(
    "wrong", [["--name", " "], ["--name", "a\tb"], ["--name", "n" * 101], ["--reset"]]
)
def test_wrong_options_are_usage_errors(data: Path, photos: Path, wrong: list[str]) -> None:
    assert run(*calibrate(photos), *wrong)[0] == 2


def test_it_must_be_told_where_the_photos_are(data: Path) -> None:
    code, shown = run("calibrate")
    assert code == 2
    assert "--photos" in shown
