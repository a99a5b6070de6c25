"""What the peers share: a photo's bytes into the model's input, and the opened model."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from PIL import Image

MODEL_VARIABLE = "GEOFIX_BENCH_MODEL"
SIDE = 224
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
_STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)


def prepare(data: bytes) -> np.ndarray:
    """float32 [3, 224, 224], decoded at a reduced scale as everybody else's."""
    file = Image.open(io.BytesIO(data))
    file.draft("RGB", (2 * SIDE, 2 * SIDE))
    picture = file.convert("RGB")
    scale = SIDE / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = (picture.width - SIDE) // 2, (picture.height - SIDE) // 2
    values = np.asarray(picture.crop((left, top, left + SIDE, top + SIDE)), dtype=np.float32)
    values = (values / np.float32(255) - _MEAN) / _STD
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def opened(path: Path | None = None) -> ort.InferenceSession:
    """The model at ``path``, or the one that the environment variable names."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(
        path or os.environ[MODEL_VARIABLE], options, providers=["CPUExecutionProvider"]
    )


def encode(session: ort.InferenceSession, batch: np.ndarray) -> np.ndarray:
    """float32 [n, 3, 224, 224] → float32 [n, 512], L2-normalised."""
    vectors: np.ndarray = session.run(None, {"image": batch})[0]
    norms: np.ndarray = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(vectors, norms)
    return unit
