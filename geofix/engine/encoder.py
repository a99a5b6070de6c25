"""Photos and coordinates into unit vectors, by ONNX Runtime.

Encoders may be shared between threads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from geofix.engine.models import (
    LOCATION_MODEL,
    Kind,
    ModelCard,
    Preprocessing,
    Resampling,
    built_in,
)
from geofix.engine.session import Session
from geofix.engine.types import Embedding, Float32Array, Float64Array, Photo, UInt8Array
from geofix.errors import InvalidCoordinate, ModelUnavailable

LOCATION_BATCH = 2048
"""Coordinates encoded at once: hidden layers of 8 MB each."""
REFERENCE_POINT = np.array([[48.8584, 2.2945]])
LONGEST_ASPECT = 8
"""Of what is looked at of a panorama; models crop its middle square anyway."""
FINGERPRINT_PARTS = 16
REFERENCE_TOLERANCE = 1e-3
"""Of one part of a fingerprint, between processors and versions of the runtime."""
FILTERS: Mapping[Resampling, Image.Resampling] = {
    Resampling.BILINEAR: Image.Resampling.BILINEAR,
    Resampling.BICUBIC: Image.Resampling.BICUBIC,
    Resampling.LANCZOS: Image.Resampling.LANCZOS,
}


class Encoder:
    """An image encoder: photos in, embeddings out."""

    def __init__(self, card: ModelCard, session: Session) -> None:
        if card.preprocessing is None:
            raise ModelUnavailable(f"Model {card.name!r} is no image encoder.")
        self.card = card
        self._preprocessing = card.preprocessing
        self._session = session

    @classmethod
    def load(
        cls, card: ModelCard, threads: int = 0, device: str = "auto", *, fp16: bool = False
    ) -> Encoder:
        """Open ``card`` on a device; arguments and errors as of :meth:`Session.open`."""
        return cls(card, Session.open(card, threads, device, fp16=fp16))

    @property
    def name(self) -> str:
        """The model's name in the manifest."""
        return self.card.name

    @property
    def on_gpu(self) -> bool:
        """Whether the model runs elsewhere than on the processor."""
        return self._session.device.is_gpu

    @property
    def threads(self) -> int:
        """Of the processor, that one run of the model uses."""
        return self._session.threads

    @property
    def dimension(self) -> int:
        """Length of the vectors the gallery is searched with."""
        return self.card.outputs["embedding"]

    @property
    def decode_target(self) -> int:
        """Shortest side that a photo is to be decoded at: twice what the model resizes it to.

        At 1 times the difference to a full decoding shows (42 dB); at 2 times it is 52 dB.
        """
        resize = self._preprocessing.resize
        return 2 * (resize if isinstance(resize, int) else max(resize))

    def encode(self, photos: Sequence[Photo]) -> list[Embedding]:
        """One embedding for each photo, in order, from a single run of the network.

        Raises :class:`ModelUnavailable` when the model gives one of them no direction.
        """
        return self.encode_prepared([self.prepare(photo) for photo in photos])

    def encode_prepared(self, inputs: Sequence[Float32Array]) -> list[Embedding]:
        """As :meth:`encode`, of what ``prepare`` gave."""
        found = self.run(inputs)
        embeddings = [embedding for embedding in found if embedding is not None]
        if len(embeddings) < len(found):
            raise _without_direction(self.card)
        return embeddings

    def prepare(self, photo: Photo) -> Float32Array:
        """The model's input for one photo: float32 [3, height, width]."""
        return preprocess(photo.pixels, self._preprocessing)

    def run(self, inputs: Sequence[Float32Array]) -> list[Embedding | None]:
        """As :meth:`encode`, of what ``prepare`` gave; None for a photo without a direction."""
        if not inputs:
            return []
        outputs = self._session.run(np.stack(inputs))
        sound = np.logical_and.reduce([_has_direction(values) for values in outputs.values()])
        with np.errstate(invalid="ignore", over="ignore"):  # rows that are not returned
            vectors = _normalise(outputs["embedding"])
            logits = outputs.get("logits")
            classes = None if logits is None else _softmax(logits)
            location = _normalise(outputs["location"]) if "location" in outputs else None
        return [
            Embedding(
                vector=vectors[i],
                classes=None if classes is None else classes[i],
                location=None if location is None else location[i],
            )
            if sound[i]
            else None
            for i in range(len(inputs))
        ]

    def warm_up(self) -> None:
        """Run once on a generated picture, so that the first photo does not pay for set-up."""
        self.encode([reference_picture()])

    def class_names(self) -> tuple[str, ...]:
        """Names of the class head's outputs in order; empty for models without one."""
        for file in self.card.companions:
            if file.endswith(".classes.txt"):
                return tuple((self.card.directory / file).read_text("utf-8").splitlines())
        return ()

    def check(self) -> float:
        """Largest difference from the card's reference fingerprint; see ``REFERENCE_TOLERANCE``."""
        return _difference(self.encode([reference_picture()])[0].vector, self.card)


class LocationEncoder:
    """GeoCLIP's location encoder: coordinates in, vectors of location space out."""

    def __init__(self, card: ModelCard, session: Session) -> None:
        self.card = card
        self._session = session

    @classmethod
    def load(cls, card: ModelCard | None = None, threads: int = 0) -> LocationEncoder:
        """Open ``card`` (default: the built-in model); errors as :meth:`Encoder.load`."""
        card = card or built_in()[LOCATION_MODEL]
        return cls(card, Session.open(card, threads))

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self.card.outputs["location"]

    def encode(self, latlon: Float64Array | Float32Array) -> Float32Array:
        """Degrees [N, 2] (lat, lon) → float32 [N, 512], L2-normalised.

        Raises :class:`InvalidCoordinate` unless |lat| ≤ 90 and |lon| ≤ 180 in every row. The
        encoder is discontinuous at ±180°: the two names of that meridian differ.
        """
        return _unit(self.encode_raw(latlon), self.card)

    def encode_raw(self, latlon: Float64Array | Float32Array) -> Float32Array:
        """As :meth:`encode`, with the lengths the network gives (0.15 to 0.4)."""
        degrees = np.asarray(latlon)
        if degrees.ndim != 2 or degrees.shape[1] != 2:
            raise InvalidCoordinate("Coordinates must be rows of latitude and longitude.")
        # The comparison is false for NaN too.
        if not bool((np.abs(degrees) <= (90.0, 180.0)).all()):
            raise InvalidCoordinate("A latitude is beyond ±90° or a longitude beyond ±180°.")
        points = np.ascontiguousarray(degrees, dtype=np.float32)
        out = np.empty((len(points), self.dimension), dtype=np.float32)
        for start in range(0, len(points), LOCATION_BATCH):
            rows = slice(start, start + LOCATION_BATCH)
            out[rows] = self._session.run(points[rows])["location"]
        return out

    def warm_up(self) -> None:
        """Run once."""
        self.encode(np.zeros((1, 2), dtype=np.float32))

    def check(self) -> float:
        """Largest difference from the card's reference fingerprint; see ``REFERENCE_TOLERANCE``."""
        return _difference(self.encode(REFERENCE_POINT)[0], self.card)


def preprocess(pixels: UInt8Array, how: Preprocessing) -> Float32Array:
    """uint8 [height, width, 3] → float32 [3, crop height, crop width], as the model's own code."""
    height, width = pixels.shape[:2]
    if isinstance(how.resize, int):
        # Otherwise a picture one pixel high would be resized to millions of columns.
        shortest = min(height, width)
        pixels = _centre(pixels, LONGEST_ASPECT * shortest, LONGEST_ASPECT * shortest)
        height, width = pixels.shape[:2]
        resized = (how.resize * height // shortest, how.resize * width // shortest)
    else:
        resized = how.resize
    return _scaled(_resized(pixels, resized, how), how)


def _resized(pixels: UInt8Array, size: tuple[int, int], how: Preprocessing) -> UInt8Array:
    """The photo at ``size`` (height, width), without the columns at its sides that are cropped.

    As if it were resized and then cropped, but for the last bit of a few in 100 000 bytes. Rows
    are not left out: Pillow may then resize by rows before columns, and rounds otherwise.
    """
    height, width = size
    kept = min(width, how.crop[1])
    left, across = (width - kept) // 2, pixels.shape[1] / width
    box = (left * across, 0, min((left + kept) * across, pixels.shape[1]), pixels.shape[0])
    picture = Image.fromarray(pixels)
    resized = picture.resize((kept, height), FILTERS[how.resampling], box=box)
    return _centre(np.asarray(resized), *how.crop)


def _scaled(pixels: UInt8Array, how: Preprocessing) -> Float32Array:
    """uint8 [height, width, 3] → float32 [3, height, width], by mean and deviation."""
    scaled = np.empty((3, *pixels.shape[:2]), dtype=np.float32)
    for channel, levels in enumerate(_levels(tuple(how.mean), tuple(how.std))):
        np.take(levels, pixels[:, :, channel], out=scaled[channel], mode="clip")
    return scaled


@lru_cache(maxsize=8)
def _levels(mean: tuple[float, ...], std: tuple[float, ...]) -> Float32Array:
    """What each of a channel's 256 values becomes: float32 [3, 256]."""
    values = np.arange(256, dtype=np.float32)[None] / np.float32(255)
    values = values - np.array(mean, dtype=np.float32)[:, None]
    levels: Float32Array = values / np.array(std, dtype=np.float32)[:, None]
    return levels


def _centre(pixels: UInt8Array, height: int, width: int) -> UInt8Array:
    """The middle of a picture, at most ``height`` by ``width`` pixels."""
    top = max(0, (pixels.shape[0] - height) // 2)
    left = max(0, (pixels.shape[1] - width) // 2)
    return pixels[top : top + height, left : left + width]


def reference_picture() -> Photo:
    """A generated picture, the same everywhere: waves of three lengths, one for each channel."""
    y, x = np.mgrid[0:320, 0:480]
    waves = [np.sin(2 * math.pi * (x * (i + 1) / 97 + y * (3 - i) / 61)) for i in range(3)]
    pixels = np.rint(127.5 + 120 * np.stack(waves, axis=2)).astype(np.uint8)
    return Photo(pixels=pixels, sha256="", width=480, height=320, format="PNG")


def _unit(vectors: Float32Array, card: ModelCard) -> Float32Array:
    """Rows of length 1; an error where a row has no direction, rather than NaN."""
    if not bool(_has_direction(vectors).all()):
        raise _without_direction(card)
    return _normalise(vectors)


def _without_direction(card: ModelCard) -> ModelUnavailable:
    return ModelUnavailable(
        f"Model {card.name!r} gave a vector without direction. "
        "Check it with `geofix models verify`."
    )


def _has_direction(vectors: Float32Array) -> npt.NDArray[np.bool_]:
    """Whether each row [N, D] is finite and not zero: [N]."""
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(vectors, axis=1)
        sound: npt.NDArray[np.bool_] = np.isfinite(norms) & (norms > 0)
    return sound


def _normalise(vectors: Float32Array) -> Float32Array:
    norms: Float32Array = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)


def _softmax(logits: Float32Array) -> Float32Array:
    odds: Float32Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Float32Array = odds.sum(axis=1, keepdims=True)
    return np.divide(odds, total)


def fingerprint(vector: Float32Array) -> tuple[float, ...]:
    """Sums of 16 equal parts of a vector: short, and moved by any component that moves."""
    return tuple(round(float(part.sum()), 5) for part in np.array_split(vector, FINGERPRINT_PARTS))


def _difference(vector: Float32Array, card: ModelCard) -> float:
    return float(np.abs(np.subtract(fingerprint(vector), card.reference)).max())


def load(card: ModelCard, threads: int = 0) -> Encoder | LocationEncoder:
    """The encoder of ``card``, whichever kind it is."""
    return (LocationEncoder if card.kind is Kind.LOCATION else Encoder).load(card, threads)


def faults(card: ModelCard) -> list[str]:
    """What is wrong with what the model computes, one sentence for each; empty if nothing.

    Models without a reference (heads and lists) are only opened.
    """
    try:
        if card.kind is Kind.HEAD:
            Session.open(card)
        elif card.kind is not Kind.COORDINATES:
            difference = load(card).check()
            if not difference <= REFERENCE_TOLERANCE:
                return [f"its vector of the reference input is off by {difference:.2g}"]
    except ModelUnavailable as error:
        return [str(error)]
    return []
