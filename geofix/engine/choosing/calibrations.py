"""Operators' calibrations, kept in the data directory.

A calibration was fitted on labelled photos for one encoder and for the galleries that were
searched, and holds for no others: one JSON file for each such pair. A bridge that was part of it
lies beside it, so that the answers stay those that were calibrated when the gallery's own bridge
is fitted again.
"""

from __future__ import annotations

import glob
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from geofix.engine.choosing.evidence import CONTEXT, FEATURES
from geofix.engine.choosing.scorer import Figures, Scorer
from geofix.engine.gallery.durable import replacing
from geofix.engine.location import bridge
from geofix.engine.location.bridge import Bridge
from geofix.engine.types import LEVELS_KM, GalleryInfo
from geofix.errors import ModelUnavailable

ALIKE = 2.0
"""A calibration holds until its galleries have grown, or shrunk, by this factor."""
_FOLDER = "calibrations"


@dataclass(frozen=True, slots=True)
class Fitted:
    """One operator's calibration."""

    encoder: str
    galleries: Mapping[str, int]
    """Names of the galleries that were searched, and how many photos each held."""
    figures: Scorer | Figures
    """With weights of its own where these were fitted, else what makes the figures hold."""
    bridge: Bridge | None = None
    """Through which photos were seen in location space."""

    def holds_for(self, galleries: Iterable[GalleryInfo]) -> bool:
        """Whether answers from these galleries are such as it was fitted on."""
        now = {gallery.name: gallery.count for gallery in galleries}
        then, total = sum(self.galleries.values()), sum(now.values())
        alike = then <= total * ALIKE and total <= then * ALIKE
        return now.keys() == self.galleries.keys() and alike


class _Written(BaseModel):
    """A calibration as its file says it."""

    encoder: str
    galleries: dict[str, int]
    figures: Annotated[Scorer | Figures, Field(union_mode="left_to_right")]
    bridge_sha256: str
    """Of the bridge's file beside; empty where there is none."""


class Calibrations:
    """The calibrations of one encoder."""

    def __init__(self, fitted: Sequence[Fitted] = ()) -> None:
        self._fitted = tuple(fitted)

    @classmethod
    def load(cls, data_dir: Path, encoder: str) -> Calibrations:
        """Those in the data directory; other encoders' are passed over.

        Raises ModelUnavailable for one that is damaged or of another version.
        """
        pattern = f"{glob.escape(encoder)}.{'[0-9a-f]' * 16}.json"
        files = sorted((data_dir / _FOLDER).glob(pattern))
        return cls([_read(file, encoder) for file in files])

    def of(self, galleries: Sequence[GalleryInfo]) -> Fitted | None:
        """The one that holds for answers from these galleries."""
        return next((fitted for fitted in self._fitted if fitted.holds_for(galleries)), None)


def save(fitted: Fitted, data_dir: Path) -> None:
    """Keep a calibration; the one of the same encoder and galleries is replaced at once."""
    file = _file(data_dir, fitted.encoder, fitted.galleries)
    file.parent.mkdir(parents=True, exist_ok=True)
    if fitted.bridge is not None:
        bridge.save(fitted.bridge, _bridge_file(file))
    content = _Written(
        encoder=fitted.encoder,
        galleries=dict(fitted.galleries),
        figures=fitted.figures,
        bridge_sha256=_sha256(_bridge_file(file)) if fitted.bridge is not None else "",
    )
    with replacing(file) as written:
        written.write_text(content.model_dump_json(indent=1) + "\n", "utf-8")


def remove(data_dir: Path, encoder: str, galleries: Iterable[str]) -> bool:
    """Forget the calibration of an encoder and galleries; whether there was one."""
    file = _file(data_dir, encoder, galleries)
    there = file.exists()
    file.unlink(missing_ok=True)
    _bridge_file(file).unlink(missing_ok=True)
    return there


def fingerprint(data_dir: Path) -> str:
    """Changes with any calibration in the data directory."""
    files = sorted((data_dir / _FOLDER).glob("*.json"))
    return hashlib.sha256(b"".join(map(Path.read_bytes, files))).hexdigest()


def _file(data_dir: Path, encoder: str, galleries: Iterable[str]) -> Path:
    searched = hashlib.blake2b("\n".join(sorted(galleries)).encode(), digest_size=8).hexdigest()
    return data_dir / _FOLDER / f"{encoder}.{searched}.json"


def _bridge_file(file: Path) -> Path:
    return file.with_suffix(".bridge.npz")


def _read(file: Path, encoder: str) -> Fitted:
    try:
        written = _Written.model_validate_json(file.read_bytes())
        _require_sound(written.figures)
        if written.encoder != encoder:
            raise ValueError("another encoder's")
        crossing = None
        if written.bridge_sha256:
            if _sha256(_bridge_file(file)) != written.bridge_sha256:
                raise ValueError("another bridge")
            crossing = bridge.load(_bridge_file(file), encoder)
    except (OSError, ValueError, ModelUnavailable) as error:
        raise ModelUnavailable(
            f"The calibration {file.name} is damaged or of another version of Geofix. Fit it again "
            "with `geofix calibrate`, or do without it: `geofix calibrate --reset`."
        ) from error
    return Fitted(written.encoder, written.galleries, written.figures, crossing)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _require_sound(figures: Scorer | Figures) -> None:
    """Raise ValueError for numbers that no answer can be made from."""
    numbers = [figures.answer_from, *figures.radii.values()]
    for steps in figures.levels.values():
        numbers += [*steps.x, *steps.y]
        if len(steps.x) != len(steps.y) or not steps.x or list(steps.x) != sorted(steps.x):
            raise ValueError("a level is no function")
    if set(figures.levels) != set(LEVELS_KM) or not {0.5, 0.9} <= set(figures.radii):
        raise ValueError("other levels or radii")
    if isinstance(figures, Scorer):
        scales = len(figures.widths_km)
        shapes = [np.shape(figures.weights), np.shape(figures.context)]
        if shapes != [(len(FEATURES), scales), (len(CONTEXT), scales)]:
            raise ValueError("weights of another shape")
        numbers += [*np.ravel(figures.weights), *np.ravel(figures.context)]
        numbers += [*figures.widths_km, *figures.retrieved, *figures.generated]
        numbers += [figures.map_weight, figures.prior_weight]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a number is not finite")
