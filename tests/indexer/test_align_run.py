"""Whole alignments: what is learnt, what a kill leaves, and what comes out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]
from torch.nn.functional import normalize

from geofix.cli.main import main
from geofix.engine import encoder as encoders
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.image import decode
from geofix.engine.models import built_in, find, location_card, pulled
from geofix.errors import Conflict, InvalidSource, ModelUnavailable
from geofix.settings import settings
from indexer.models.align import checkpoint
from indexer.models.align.aligner import Aligner
from indexer.models.align.examples import FOLDER, Examples, encode
from indexer.models.align.export import export
from indexer.models.align.options import Gps, Options
from indexer.models.align.run import align
from indexer.models.align.train import METRICS_FILE, Training, deterministic

PHOTOS = Path(os.environ.get("GEOFIX_TEST_PHOTOS", Path(__file__).parents[3] / "shared" / "data"))
SETS = [PHOTOS / name for name in ("osv5m-mini", "streetscapes-mini")]
PARITY = 1e-4
SMALL = {"learning_rate": 3e-4, "decay": 0.95, "dropout": 0.3, "hold_out": 0.25, "batch": 64}
PATIENCE_S = 120


@dataclass(frozen=True)
class Made:
    """A run to its end on the made photos."""

    data_dir: Path
    run: Path
    options: Options


def make_photos(folder: Path, count: int = 130) -> Path:
    """Crops of two real photos and of a drawn one. What is seen depends on latitude, and the
    light on longitude, so that photos of unseen places can be placed.
    """
    random = np.random.default_rng(0)
    drawn = np.indices((427, 640)).sum(axis=0)[..., None] * np.array([1, 2, 5]) % 255
    flower, china = (load_sample_image(name) for name in ("flower.jpg", "china.jpg"))
    scenes = [flower, drawn.astype(np.uint8), china]
    lines = ["file,lat,lon,licence"]
    for i in range(count):
        lat, lon = random.uniform(-60, 70), random.uniform(-170, 170)
        scene = scenes[int((lat + 60) / 130 * len(scenes))]
        top, left = random.integers(0, 200), random.integers(0, 400)
        light = np.array([1 + lon / 200, 1.0, 1 - lon / 200])
        crop = scene[top : top + 224, left : left + 224] * light
        Image.fromarray(crop.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=92)
        lines.append(f"{i}.jpg,{lat:.5f},{lon:.5f},CC0-1.0")
    (folder / "index.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An undisturbed run, with everything that draws or remembers turned on."""
    folder = tmp_path_factory.mktemp("made")
    options = Options.model_validate({**SMALL, "epochs": 6, "batch": 32, "queue": 64})
    align([photos], built_in()["lite"], "made", folder, folder / "run", options)
    return Made(folder, folder / "run", options)


def command(photos: Path, run: Path) -> list[str]:
    """The run of the fixture ``made``, as a user would start it."""
    given = {**SMALL, "epochs": 6, "batch": 32, "queue": 64, "name": "made", "run": run}
    options = [f"--{k.replace('_', '-')}={v}" for k, v in given.items()]
    program = [sys.executable, "-m", "geofix.cli.main", "models", "align", str(photos)]
    return [*program, "--checkpoint-steps=1", "--resume", *options]


def test_unseen_places_are_found_above_chance(made: Made) -> None:
    examples = Examples.read(made.run)
    assert examples is not None
    with deterministic(made.options):
        training = Training(examples, made.options, made.run)
        before, blind = training.measure()
        assert training.resume()
        first, best = training.history[0], training.history[training.best_epoch - 1]
    assert best.training["total"] < 0.8 * first.training["total"]
    assert best.held_out["total"] < before["total"] - 0.3
    assert best.retrieval.photos >= 30
    assert best.retrieval.percentile > 0.75 > blind.percentile
    assert best.retrieval.recall_1 > 2 * best.retrieval.chance_recall_1


@pytest.mark.skipif(
    not all(folder.is_dir() for folder in SETS), reason="the folder of test photos is absent"
)
def test_unseen_places_of_real_photos_are_found_above_chance(tmp_path: Path) -> None:
    """Two splits, as the photos are few. A cell's photos are alike, so cells are counted."""
    examples = encode(SETS, Encoder.load(built_in()["lite"]))
    assert len(examples.keys) >= 100
    ranks, distinct = [], 0
    for seed in range(2):
        options = Options.model_validate({**SMALL, "epochs": 12, "patience": 0, "seed": seed})
        folder = tmp_path / str(seed)
        folder.mkdir()
        with deterministic(options):
            training = Training(examples, options, folder)
            before, _ = training.measure()
            training.run()
        best = training.history[training.best_epoch - 1]
        assert best.training["total"] < 0.5 * training.history[0].training["total"]
        assert best.held_out["total"] < before["total"]
        ranks.append(best.retrieval.percentile)
        distinct += best.retrieval.cells
    by_chance = np.sqrt(1 / 12 / distinct)
    assert np.mean(ranks) > 0.5 + 5 * by_chance


def test_a_killed_run_goes_on_to_the_same_bits(photos: Path, made: Made, tmp_path: Path) -> None:
    data_dir, run = tmp_path / "data", tmp_path / "run"
    run.mkdir()
    shutil.copytree(made.run / FOLDER, run / FOLDER)
    environment = {**os.environ, "GEOFIX_DATA_DIR": str(data_dir)}
    with subprocess.Popen(  # noqa: S603
        command(photos, run), env=environment, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + PATIENCE_S
        # In the midst of an epoch that is not the first.
        while not ((state := checkpoint.read(run)) and state["step"] and state["best"]):
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (data_dir / "models").exists()
    done = subprocess.run(  # noqa: S603
        command(photos, run), env=environment, capture_output=True, text=True, check=True
    )
    assert "made is ready" in done.stdout
    killed, undisturbed = checkpoint.read(run), checkpoint.read(made.run)
    assert killed is not None
    assert undisturbed is not None
    assert killed["history"] == undisturbed["history"]
    assert equal(killed, undisturbed)
    for file in ("models/made/made.onnx", "models/made/card.json"):
        assert (data_dir / file).read_bytes() == (made.data_dir / file).read_bytes()
    assert (run / METRICS_FILE).read_bytes() == (made.run / METRICS_FILE).read_bytes()


def equal(a: object, b: object) -> bool:
    """To the bit, through nested dictionaries and lists."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(a, b)
    return a == b


def test_the_export_is_an_encoder_like_any_other(photos: Path, made: Made) -> None:
    examples, state = Examples.read(made.run), checkpoint.read(made.run)
    assert examples is not None
    assert state is not None
    base = Encoder.load(built_in()["lite"])
    card = find("made", made.data_dir)
    assert not encoders.faults(card)
    assert card.aligned
    assert card.outputs == {"embedding": 1280, "logits": 1000, "location": 512}
    assert "CC0-1.0" in card.source
    assert location_card(card, made.data_dir) == built_in()["geoclip-location"]
    encoder = Encoder.load(card)
    assert encoder.class_names() == base.class_names()
    files = [photos / f"{i}.jpg" for i in range(12)]
    pictures = [decode(f.read_bytes(), target=encoder.decode_target) for f in files]
    with deterministic(made.options):
        training = Training(examples, made.options, made.run)
        assert training.resume()
        model = training.best()
    for got, plain in zip(encoder.encode(pictures), base.encode(pictures), strict=True):
        assert np.abs(got.vector - plain.vector).max() <= PARITY
        assert got.classes is not None
        assert plain.classes is not None
        assert np.abs(got.classes - plain.classes).max() <= PARITY
        assert got.location is not None
        with torch.no_grad():
            expected = model.photos(torch.from_numpy(plain.vector[None]))[0].numpy()
        assert np.abs(got.location - expected).max() <= PARITY


def test_an_aligned_encoder_is_aligned_anew_without_its_old_head(
    made: Made, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = Aligner(torch.rand(20, 1280), None, Options())
    card = find("made", made.data_dir)
    again = export(model, card, "again", tmp_path, trained_on="no photos", licence="CC0-1.0")
    assert again.outputs == card.outputs
    assert again.path.stat().st_size < 1.05 * card.path.stat().st_size
    old, new = (Encoder.load(c).encode([encoders.reference_picture()])[0] for c in (card, again))
    assert old.location is not None
    assert new.location is not None
    assert np.array_equal(old.vector, new.vector)
    assert float(old.location @ new.location) < 0.9


@pytest.mark.parametrize("gps", [Gps.GEOCLIP, Gps.HARMONICS])
def test_a_trained_gps_encoder_becomes_a_model_that_the_card_names(
    tmp_path: Path, gps: Gps
) -> None:
    torch.manual_seed(0)
    options = Options(gps=gps, gps_head=gps is Gps.GEOCLIP)
    model = Aligner(torch.rand(20, 1280), None, options).eval()
    base = built_in()["lite"]
    card = export(model, base, "own", tmp_path, trained_on="no photos", licence="CC0-1.0")
    assert card.location_model == "own-location"
    of_places = location_card(card, tmp_path)
    assert not encoders.faults(of_places)
    points = np.random.default_rng(0).uniform((-90, -180), (90, 180), (300, 2))
    points[:4] = (90, 0), (-90, 0), (0, 180), (0, -180)
    assert model.gps is not None
    with torch.no_grad():
        expected = normalize(model.gps(torch.from_numpy(points.astype(np.float32)))).numpy()
    got = LocationEncoder.load(of_places).encode(points)
    assert np.abs(got - expected).max() <= PARITY
    if gps is Gps.HARMONICS:
        assert np.abs(got[2] - got[3]).max() <= PARITY
    shutil.rmtree(of_places.directory)
    with pytest.raises(ModelUnavailable, match="own-location"):
        location_card(pulled(tmp_path)["own"], tmp_path)


def test_a_run_is_not_overwritten(photos: Path, made: Made, tmp_path: Path) -> None:
    base = built_in()["lite"]
    with pytest.raises(Conflict, match="holds a run already"):
        align([photos], base, "made", tmp_path, made.run, made.options)
    with pytest.raises(Conflict, match="other photos or models"):
        align([tmp_path], base, "made", tmp_path, made.run, made.options, resume=True)
    with pytest.raises(InvalidSource, match="built-in"):
        align([photos], base, "lite", tmp_path, tmp_path / "run", made.options)


def test_options_out_of_range_are_one_line(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["models", "align", str(photos), "--name", "x"]
    result = CliRunner().invoke(main, [*arguments, "--batch", "1"])
    assert result.exit_code == 2
    assert "--batch: Input should be greater than or equal to 2" in result.output
    result = CliRunner().invoke(main, [*arguments, "--gps-head"])
    assert result.exit_code == 2
    assert "needs one that is trained" in result.output
    monkeypatch.delitem(sys.modules, "indexer.models.align.run", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "geofix[train]" in result.output
    settings.cache_clear()
