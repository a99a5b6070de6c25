"""Reading text in a photo with the models that the ``rapidocr`` wheel carries.

The detector is rapidocr's own; the recogniser's output is decoded here, because what decides
whether a reading may be believed, the confidence and the place of every single character, is
not part of rapidocr's result. Nothing is ever downloaded: the model files are named outright.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
import rapidocr

from geofix.engine.generators.text.lines import Line
from geofix.engine.generators.text.scripts import scripts_written
from geofix.engine.types import Float32Array, UInt8Array
from geofix.errors import ModelUnavailable

LONGEST_SIDE = 1280
"""Photos are scaled down to this many pixels before text is looked for."""

_LINE_HEIGHT = 48
_NARROWEST, _WIDEST = 48, 2400
_BATCH, _BATCH_WIDTH = 8, 5120
"""Lines, and pixels of their widths together, that are read at once: it bounds the memory."""
MOST_LINES = 80
"""The largest ones of a photo are read."""
_SHORT_SIDE, _LONGEST_ASPECT = 736, 2.0
"""The detector enlarges short sides to so many pixels: long pictures are framed instead."""
_UPRIGHT_ASPECT = 1 / 1.5
"""A box narrower than this share of its height holds vertical or turned text."""

Quad = npt.NDArray[np.float32]


class Recogniser:
    """The text line recogniser (PP-OCRv6 small): CTC over the characters in its own metadata."""

    def __init__(self, file: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    @cached_property
    def characters(self) -> tuple[str, ...]:
        """What the recogniser can write at all, by class; the blank is class 0, a space the last.

        Read from the model file, so that the scripts Geofix trusts are those the model knows.
        """
        listed = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        return ("", *listed, " ")

    def read(self, crops: Sequence[UInt8Array]) -> list[tuple[str, Float32Array, Float32Array]]:
        """Text, confidences [n] and centres [n] in line heights, for each crop [h, w, 3] (RGB)."""
        lines = [_line(crop) for crop in crops]
        order = sorted(range(len(lines)), key=lambda i: lines[i].shape[2])
        read: list[tuple[str, Float32Array, Float32Array]] = [
            ("", np.zeros(0, np.float32), np.zeros(0, np.float32))
        ] * len(lines)
        for chosen in _batches(order, [line.shape[2] for line in lines]):
            width = max([320, *(lines[i].shape[2] for i in chosen)])
            batch = np.zeros((len(chosen), 3, _LINE_HEIGHT, width), np.float32)
            for row, i in enumerate(chosen):
                batch[row, :, :, : lines[i].shape[2]] = lines[i]
            output = cast(Float32Array, self._session.run(None, {self._input: batch})[0])
            columns = width / _LINE_HEIGHT / output.shape[1]
            for row, i in enumerate(chosen):
                read[i] = self._decode(output[row], columns)
        return read

    def _decode(
        self, output: Float32Array, columns: float
    ) -> tuple[str, Float32Array, Float32Array]:
        best = output.argmax(axis=1)
        keep = best != 0
        keep[1:] &= best[1:] != best[:-1]
        at = np.flatnonzero(keep)
        text = "".join(self.characters[i] for i in best[at])
        return text, output[at, best[at]], ((at + 0.5) * columns).astype(np.float32)


def _batches(order: Sequence[int], widths: Sequence[int]) -> Iterator[list[int]]:
    """Lines in ascending order of width, as many at once as the memory allows."""
    chosen: list[int] = []
    for i in order:
        if chosen and (len(chosen) == _BATCH or (len(chosen) + 1) * widths[i] > _BATCH_WIDTH):
            yield chosen
            chosen = []
        chosen.append(i)
    if chosen:
        yield chosen


def _line(crop: UInt8Array) -> Float32Array:
    """float32 [3, 48, w]: the crop as the recogniser wants it (BGR, -1 to 1)."""
    height, width = crop.shape[:2]
    wanted = int(np.clip(round(width * _LINE_HEIGHT / height), _NARROWEST // 3, _WIDEST))
    resized = cv2.resize(crop, (wanted, _LINE_HEIGHT))
    return np.ascontiguousarray(
        (resized[:, :, ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
    )


class Reader:
    """Finds and reads the lines of text in a photo. Loaded on first use; one photo at a time."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = threads
        self._lock = Lock()

    @cached_property
    def _detector(self) -> rapidocr.RapidOCR:
        return rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Det.model_path": str(_models()[0]),
                "EngineConfig.onnxruntime.intra_op_num_threads": self._threads,
            }
        )

    @cached_property
    def recogniser(self) -> Recogniser:
        return Recogniser(_models()[1], self._threads)

    @cached_property
    def scripts(self) -> frozenset[str]:
        """ISO 15924 codes of the scripts the recogniser has letters of."""
        return scripts_written(self.recogniser.characters)

    def read(self, picture: UInt8Array) -> list[Line]:
        """The lines of a picture [h, w, 3] (RGB), those it could not make out among them."""
        with self._lock:
            quads = self._find(_framed(picture))
            variants = [_variants(picture, quad) for quad in quads]
            read = iter(self.recogniser.read([crop for crops in variants for crop in crops]))
            height, width = picture.shape[:2]
            lines: list[Line] = []
            for quad, crops in zip(quads, variants, strict=True):
                tried = [_read_line(crop, *next(read)) for crop in crops]
                box = tuple(
                    (min(float(x / width), 1.0), min(float(y / height), 1.0)) for x, y in quad
                )
                best = max(tried, key=_believable)
                lines.append(replace(best, box=box, upright=len(crops) > 1))
            return lines

    def _find(self, picture: UInt8Array) -> list[Quad]:
        found = self._detector(picture[:, :, ::-1], use_det=True, use_cls=False, use_rec=False)
        boxes = getattr(found, "boxes", None)  # of the detector's result; without text, of another
        quads = [] if boxes is None else [np.asarray(box, np.float32) for box in boxes]
        return sorted(quads, key=lambda quad: -cv2.contourArea(quad))[:MOST_LINES]


def picture_of(pixels: UInt8Array, longest: int = LONGEST_SIDE) -> UInt8Array:
    """The photo with its long side at most ``longest``, uint8 [h, w, 3]."""
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _resized(pixels, size)


def _framed(picture: UInt8Array) -> UInt8Array:
    """A very long picture with grey below or beside it; corners keep their positions."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest <= _LONGEST_ASPECT * min(height, width):
        return picture
    least = min(longest, _SHORT_SIDE)
    below, beside = max(0, least - height), max(0, least - width)
    return np.pad(picture, ((0, below), (0, beside), (0, 0)), constant_values=127)


def crop_of_line(picture: UInt8Array, line: Line) -> UInt8Array:
    """What a line was read from, laid out straight."""
    height, width = picture.shape[:2]
    return crop_of(picture, np.array(line.box, np.float32) * np.array([width, height], np.float32))


def crop_of(picture: UInt8Array, quad: Quad) -> UInt8Array:
    """What lies within four corners, clockwise from top left, laid out straight."""
    top, right, bottom, left = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    width, height = max(1, int(max(top, bottom))), max(1, int(max(left, right)))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    straight = cv2.warpPerspective(
        picture,
        cv2.getPerspectiveTransform(quad, corners),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cast(UInt8Array, straight)


def _variants(picture: UInt8Array, quad: Quad) -> list[UInt8Array]:
    """The crop; of a tall one, its turns to both sides and its characters side by side."""
    crop = crop_of(picture, quad)
    height, width = crop.shape[:2]
    if width / height > _UPRIGHT_ASPECT:
        return [crop]
    pieces = max(1, round(height / width))
    square = _resized(crop, (_LINE_HEIGHT, _LINE_HEIGHT * pieces))
    row = np.concatenate(np.split(square, pieces, axis=0), axis=1)
    return [row, np.rot90(crop).copy(), np.rot90(crop, 3).copy()]


def _read_line(crop: UInt8Array, text: str, sure: Float32Array, centres: Float32Array) -> Line:
    height, width = crop.shape[:2]
    return Line(
        text=text,
        confidences=tuple(float(value) for value in sure),
        centres=tuple(float(value) for value in centres),
        length=width / height,
        height=float(height),
        box=(),
    )


def _believable(line: Line) -> float:
    """How much of the line was made out, and how surely."""
    return line.confidence * min(1.0, len(line.text) / max(line.length, 1.0))


def _resized(pixels: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    return cast(UInt8Array, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _models() -> tuple[Path, Path]:
    """The detector's and the recogniser's file in the installed wheel."""
    folder = Path(rapidocr.__file__).parent / "models"
    found = tuple(folder / f"PP-OCRv6_{part}_small.onnx" for part in ("det", "rec"))
    for file in found:
        if not file.is_file():
            raise ModelUnavailable(f"The text model {file.name} is missing: reinstall rapidocr.")
    return found[0], found[1]


def readable_characters() -> tuple[str, ...]:
    """Every character the built-in recogniser can write, as its model file says."""
    return Recogniser(_models()[1], threads=1).characters
