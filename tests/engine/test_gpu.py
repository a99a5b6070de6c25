"""The encoder on a GPU, where there is one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import pytest
from PIL import Image

from geofix.engine.batching import Batcher, Limits
from geofix.engine.encoder import REFERENCE_TOLERANCE, Encoder, reference_picture
from geofix.engine.models import built_in
from geofix.engine.session import Device
from geofix.engine.types import Lane, Photo
from geofix.errors import ModelUnavailable

LITE = built_in()["lite"]
PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
HALF_TOLERANCE = 0.01


def on(device: str, *, fp16: bool = False) -> Encoder:
    """The built-in encoder there; the test is skipped, saying why, where there is no such GPU."""
    kind = device.partition(":")[0]
    if PROVIDERS[kind] not in ort.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {PROVIDERS[kind]}: geofix[gpu] is not installed")
    if not Path("/dev/nvidia0").exists():
        pytest.skip("this machine has no NVIDIA GPU")
    return Encoder.load(LITE, device=device, fp16=fp16)


def photos(count: int) -> list[Photo]:
    noise = np.random.default_rng(3).integers(0, 256, (count, 12, 16, 3), dtype=np.uint8)
    return [
        Photo(np.asarray(Image.fromarray(n).resize((320, 240))), "", 320, 240, "PNG") for n in noise
    ]


@pytest.mark.parametrize("device", ["cuda:0", "tensorrt:0"])
def test_a_gpu_agrees_with_the_processor(device: str) -> None:
    encoder = on(device)
    assert encoder.on_gpu
    assert encoder.check() < REFERENCE_TOLERANCE
    # Growing and shrinking batches go through one page-locked buffer.
    expected = Encoder.load(LITE, device="cpu").encode(photos(9))
    for size in (2, 9, 1, 5):
        for got, want in zip(encoder.encode(photos(9)[:size]), expected, strict=False):
            assert np.allclose(got.vector, want.vector, atol=1e-3)


@pytest.mark.parametrize("device", ["cuda:0", "tensorrt:0"])
def test_half_precision_on_a_gpu(device: str) -> None:
    expected = Encoder.load(LITE, device="cpu").encode(photos(4))
    for got, want in zip(on(device, fp16=True).encode(photos(4)), expected, strict=True):
        assert float(got.vector @ want.vector) > 1 - HALF_TOLERANCE


def test_batches_on_a_gpu() -> None:
    encoder = on("cuda:0")
    batcher = Batcher([lambda: encoder], Limits(), warm=True)

    async def all_of_them() -> None:
        import io

        stream = io.BytesIO()
        Image.fromarray(reference_picture().pixels).save(stream, "PNG")
        passing = [batcher.put(stream.getvalue(), Lane.BATCH) for _ in range(30)]
        for one in await asyncio.gather(*(p.embedding() for p in passing)):
            assert np.isfinite(one.vector).all()

    try:
        asyncio.run(all_of_them())
    finally:
        batcher.close()


def test_half_precision_computes_nearly_the_same(tmp_path: Path) -> None:
    """The conversion itself needs no GPU."""
    from geofix.engine.session import _half_precision

    session = ort.InferenceSession(_half_precision(LITE.path), providers=["CPUExecutionProvider"])
    encoder = Encoder.load(LITE, device="cpu")
    batch = np.stack([encoder.prepare(photo) for photo in photos(3)])
    (vectors,) = session.run(["embedding"], {"image": batch})
    for got, want in zip(vectors, encoder.encode(photos(3)), strict=True):
        assert got.dtype == np.float32
        assert float(got @ want.vector) / float(np.linalg.norm(got)) > 1 - HALF_TOLERANCE


def test_a_device_that_is_not_there_is_named() -> None:
    for device in ("cuda:x", "tpu", "cpu:-1", ""):
        with pytest.raises(ModelUnavailable, match="There is no device"):
            Encoder.load(LITE, device=device)
    if PROVIDERS["cuda"] not in ort.get_available_providers():
        with pytest.raises(ModelUnavailable, match=r"geofix\[gpu\]"):
            Encoder.load(LITE, device="cuda:0")
    assert Device.named("cpu") == Device()
    assert not Encoder.load(LITE, device="cpu").on_gpu
