"""The model manifest: which models there are, where their files lie and how they are used.

Built-in models are package data beside ``weights/manifest.json``; pulled ones have their own
folder with a ``card.json`` under ``<data_dir>/models/``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from geofix.engine.types import Float64Array
from geofix.errors import ModelUnavailable

BUILT_IN = Path(__file__).parent / "weights"
MANIFEST_FILE = "manifest.json"
CARD_FILE = "card.json"
LOCATION_MODEL = "geoclip-location"
HEAD_MODEL = "geoclip-head"
COORDINATES_MODEL = "geoclip-coordinates"
MICRODEGREES = 1e6


class Kind(StrEnum):
    """What a model turns into what."""

    IMAGE = "image"
    """A photo into a vector."""
    LOCATION = "location"
    """A coordinate into a vector of location space."""
    HEAD = "head"
    """A vector of one encoder into location space."""
    COORDINATES = "coordinates"
    """No network: a list of positions."""


class Resampling(StrEnum):
    """Filters of Pillow, by name."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a photo becomes the model's input: resize, crop the centre, scale, normalise."""

    resize: tuple[int, int] | int
    """(height, width) in pixels whatever the aspect, or the length of the shortest side."""
    crop: tuple[int, int]
    """(height, width) in pixels of the centre that is kept."""
    resampling: Resampling
    mean: tuple[float, float, float]
    """Per channel, of values in 0 to 1."""
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One entry of the manifest."""

    name: str
    kind: Kind
    file: str
    """The ONNX graph (or the array, for coordinates), relative to the card."""
    sha256: str
    source: str
    """Where the weights come from: package and version, or repository and revision."""
    licence: str
    """SPDX expression of the weights, or ``unknown``."""
    input: str
    """Name and shape of the graph's input."""
    outputs: Mapping[str, int] = field(default_factory=dict)
    """Name of each output and its dimension."""
    preprocessing: Preprocessing | None = None
    aligned: bool = False
    """Whether an output lies in the location encoder's space."""
    location_model: str = ""
    """Name of the model that encodes coordinates into that space; empty = GeoCLIP's, built in."""
    companions: Mapping[str, str] = field(default_factory=dict)
    """Further files that the model needs, each with its sha256."""
    reference: tuple[float, ...] = ()
    """Fingerprint of the vector for a generated input; see ``Encoder.check``."""
    directory: Path = BUILT_IN
    """Where the files lie; not part of the written card."""

    @property
    def path(self) -> Path:
        """The main file."""
        return self.directory / self.file

    @property
    def files(self) -> dict[str, str]:
        """Every file of the model with its sha256."""
        return {self.file: self.sha256, **self.companions}

    def faults(self) -> list[str]:
        """What is wrong with the files, one sentence for each; empty when all is well."""
        found = []
        for file, sha256 in self.files.items():
            try:
                with (self.directory / file).open("rb") as stream:
                    actual = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:
                found.append(f"{file} is missing or cannot be read")
                continue
            if actual != sha256:
                found.append(f"{file} is damaged (its sha256 is not the manifest's)")
        return found

    def require(self) -> None:
        """Check the files; :class:`ModelUnavailable` says what is wrong and what to run."""
        faults = self.faults()
        if faults:
            raise ModelUnavailable(
                f"Model {self.name!r} cannot be used: {'; '.join(faults)}. {self._remedy()}"
            )

    def _remedy(self) -> str:
        if self.directory == BUILT_IN:
            return "Reinstall geofix, or rebuild the file with `geofix models export`."
        return f"Fetch it again with `geofix models pull`; its source is {self.source}."


_CARD = TypeAdapter(ModelCard)
_CARDS = TypeAdapter(list[ModelCard])


def write_card(card: ModelCard, path: Path) -> None:
    """Write one pulled model's card."""
    path.write_bytes(_CARD.dump_json(card, indent=2, exclude={"directory"}) + b"\n")


def write_manifest(cards: list[ModelCard], path: Path) -> None:
    """Write the manifest of the built-in models."""
    path.write_bytes(_CARDS.dump_json(cards, indent=2, exclude={"__all__": {"directory"}}) + b"\n")


def built_in(directory: Path = BUILT_IN) -> dict[str, ModelCard]:
    """The models of ``directory``'s manifest by name; :class:`ModelUnavailable` without one."""
    try:
        cards = _CARDS.validate_json((directory / MANIFEST_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelUnavailable(
            "The manifest of the built-in models is missing or damaged. Reinstall geofix."
        ) from error
    return {card.name: replace(card, directory=directory) for card in cards}


def pulled(data_dir: Path) -> dict[str, ModelCard]:
    """The models pulled into ``data_dir`` by name; a card that cannot be read is an error."""
    cards = {}
    for path in sorted((data_dir / "models").glob(f"*/{CARD_FILE}")):
        try:
            card = _CARD.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelUnavailable(
                f"The card of the pulled model {path.parent.name!r} is damaged. "
                "Fetch the model again with `geofix models pull`."
            ) from error
        cards[card.name] = replace(card, directory=path.parent)
    return cards


def manifest(data_dir: Path) -> dict[str, ModelCard]:
    """All models by name, built-in and pulled."""
    return {**pulled(data_dir), **built_in()}


def find(name: str, data_dir: Path) -> ModelCard:
    """The card of an image encoder; :class:`ModelUnavailable` names what there is instead."""
    encoders = {n: card for n, card in manifest(data_dir).items() if card.kind is Kind.IMAGE}
    if name not in encoders:
        raise ModelUnavailable(
            f"There is no encoder named {name!r}; there are {', '.join(sorted(encoders))}. "
            "Fetch others with `geofix models pull`."
        )
    return encoders[name]


def location_card(card: ModelCard, data_dir: Path) -> ModelCard:
    """The location encoder that belongs to an image encoder.

    Raises :class:`ModelUnavailable` when the encoder was trained with one that is not there.
    """
    if not card.location_model:
        return built_in()[LOCATION_MODEL]
    found = pulled(data_dir).get(card.location_model)
    if found is None or found.kind is not Kind.LOCATION:
        raise ModelUnavailable(
            f"The encoder {card.name!r} needs the location encoder {card.location_model!r}, "
            "which is not there. Train both again with `geofix models align`."
        )
    return found


def coordinates() -> Float64Array:
    """GeoCLIP's gallery of 100 000 positions, float64 [100000, 2] (lat, lon) in degrees."""
    card = built_in()[COORDINATES_MODEL]
    card.require()
    microdegrees = np.load(card.path, allow_pickle=False)
    return np.asarray(microdegrees / MICRODEGREES, dtype=np.float64)
