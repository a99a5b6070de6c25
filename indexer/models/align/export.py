"""From a trained alignment to an encoder of this machine: a card like any other's."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort  # type: ignore[import-untyped]
import torch
from onnx import compose
from onnx.utils import Extractor
from torch import nn

from geofix.engine.models import CARD_FILE, Kind, ModelCard, write_card
from geofix.engine.types import Float32Array, Float64Array
from geofix.errors import InvalidSource
from indexer.models import graph
from indexer.models.align.aligner import Aligner
from indexer.models.export import sha256, with_reference
from indexer.models.location import DIMENSION
from indexer.models.placing import model_name, place

PARITY = 1e-4
"""Between torch and ONNX, of a component of a unit vector."""
_HEAD = "head."
"""Before the head's names while it is joined to the tower."""
_KEPT = ("embedding", "logits")


def export(
    model: Aligner, base: ModelCard, name: str, data_dir: Path, *, trained_on: str, licence: str
) -> ModelCard:
    """Write ``model`` behind the image encoder ``base`` as the encoder ``name``.

    Its outputs are ``base``'s embedding and logits, and ``location``. A trained GPS encoder
    becomes a model of its own, ``<name>-location``, which the card names. ``trained_on`` is a
    sentence's end for the cards' source. Models of these names are replaced, once the new ones
    agree with torch; :class:`InvalidSource` where they do not.
    """
    name = model_name(name)
    data_dir.mkdir(parents=True, exist_ok=True)
    model = model.eval()
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="align-") as temporary:
        cards = []
        if model.gps is not None:
            of_places = model_name(f"{name}-location")
            cards.append(_location(model.gps, of_places, Path(temporary), trained_on, licence))
        image = _image(model.image_to_gps, base, name, Path(temporary))
        cards.append(
            replace(
                image,
                source=f"{base.source}; its head trained on {trained_on}",
                licence=licence,
                location_model=cards[0].name if cards else "",
            )
        )
        # The location encoder goes first: an image encoder is never there without its own.
        for card in cards:
            card = with_reference(card)  # noqa: PLW2901
            write_card(card, card.directory / CARD_FILE)
            folder = place(card.directory, data_dir, card.name)
            placed = replace(card, directory=folder)
    return placed


def _image(head: nn.Module, base: ModelCard, name: str, folder: Path) -> ModelCard:
    """The tower's graph with the head's behind it."""
    base.require()
    directory = folder / name
    directory.mkdir()
    width = base.outputs["embedding"]
    head_path = folder / "head.onnx"
    graph.write(head, torch.zeros(2, width), head_path, inputs="embedding", outputs=["location"])
    _check(head_path, head, np.random.default_rng(0).normal(size=(64, width)))
    path = directory / f"{name}.onnx"
    outputs = {output: base.outputs[output] for output in _KEPT if output in base.outputs}
    files = graph.save(_joined(base.path, head_path, list(outputs)), path)
    weights = f"{base.file}.data"  # of the tower alone; the whole graph has them again
    companions = {file: digest for file, digest in base.companions.items() if file != weights}
    for file in companions:
        shutil.copy(base.directory / file, directory)
    card = replace(
        base,
        name=name,
        file=path.name,
        sha256=sha256(path),
        outputs={**outputs, "location": DIMENSION},
        aligned=True,
        companions={**companions, **{file: sha256(directory / file) for file in files[1:]}},
        directory=directory,
    )
    _check_joined(card, base, head)
    return card


def _joined(tower_path: Path, head_path: Path, kept: list[str]) -> onnx.ModelProto:
    """One graph: the tower up to the outputs ``kept``, and ``location`` from its embedding."""
    tower, head = onnx.load(tower_path), onnx.load(head_path)
    if [output.name for output in tower.graph.output] != kept:
        # An aligned encoder's own head must not be in the way.
        inputs = [value.name for value in tower.graph.input]
        tower = Extractor(tower).extract_model(inputs, kept)
    head.ir_version = tower.ir_version
    joined = compose.merge_models(
        tower,
        compose.add_prefix(head, _HEAD),
        io_map=[("embedding", f"{_HEAD}embedding")],
        outputs=[*kept, f"{_HEAD}location"],
        producer_name=tower.producer_name,
    )
    for node in joined.graph.node:
        node.output[:] = [o.replace(f"{_HEAD}location", "location") for o in node.output]
    joined.graph.output[-1].name = "location"
    joined.graph.doc_string = ""
    return joined


def _location(
    encoder: nn.Module, name: str, folder: Path, trained_on: str, licence: str
) -> ModelCard:
    directory = folder / name
    directory.mkdir()
    path = directory / f"{name}.onnx"
    graph.write(encoder, torch.zeros(2, 2), path, inputs="latlon", outputs=["location"])
    corners = np.array([[90, 0], [-90, 0], [0, 180], [0, -180]])
    points = np.random.default_rng(0).uniform((-90, -180), (90, 180), (500, 2))
    _check(path, encoder, np.concatenate([corners, points]))
    return ModelCard(
        name=name,
        kind=Kind.LOCATION,
        file=path.name,
        sha256=sha256(path),
        source=f"trained on {trained_on}",
        licence=licence,
        input="latlon float32 [N, 2], degrees",
        outputs={"location": DIMENSION},
        aligned=True,
        directory=directory,
    )


def _check(path: Path, module: nn.Module, inputs: Float64Array) -> None:
    """A written graph of one input and one output against its torch module."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    batch = inputs.astype(np.float32)
    got = session.run(None, {session.get_inputs()[0].name: batch})[0]
    with torch.no_grad():
        expected = module(torch.from_numpy(batch)).numpy()
    if not _difference(got, expected) <= PARITY:
        raise InvalidSource("The exported model does not agree with the trained one.")


def _check_joined(card: ModelCard, base: ModelCard, head: nn.Module) -> None:
    """The whole encoder against the tower and the head one after the other, on noise."""
    assert base.preprocessing is not None  # noqa: S101 – image encoders have one
    height, width = base.preprocessing.crop
    batch = np.random.default_rng(0).normal(size=(3, 3, height, width)).astype(np.float32)
    kept = [output for output in card.outputs if output != "location"]
    whole = ort.InferenceSession(card.path, providers=["CPUExecutionProvider"])
    tower = ort.InferenceSession(base.path, providers=["CPUExecutionProvider"])
    *got, location = whole.run([*kept, "location"], {whole.get_inputs()[0].name: batch})
    expected = tower.run(kept, {tower.get_inputs()[0].name: batch})
    with torch.no_grad():
        expected.append(head(torch.from_numpy(expected[0])).numpy())
    for ours, theirs in zip([*got, location], expected, strict=True):
        if not _difference(ours, theirs) <= PARITY:
            raise InvalidSource("The exported encoder does not agree with its parts.")


def _difference(a: Float32Array, b: Float32Array) -> float:
    """Largest, of a component, in lengths of the rows of ``b``."""
    return float(np.abs((a - b) / np.linalg.norm(b, axis=1, keepdims=True)).max())
