"""Turn a published checkpoint into an encoder of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import torch

from geofix.engine.models import CARD_FILE, Kind, ModelCard, write_card
from geofix.errors import InvalidSource
from indexer.models import graph, hub, towers
from indexer.models.export import sha256, with_reference
from indexer.models.placing import model_name, place

GEOCLIP = "geoclip"
PARITY = 1e-4
"""Between torch and ONNX, of a component of a unit vector."""


def pull(
    source: str,
    data_dir: Path,
    *,
    name: str | None = None,
    revision: str | None = None,
    checkpoint: Path | None = None,
    endpoint: str | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> ModelCard:
    """Fetch ``source``, export it and keep it under ``<data_dir>/models/<name>``.

    ``source`` is ``geoclip``, a folder, or the name of a model on the Hugging Face hub. For
    ``geoclip``, ``checkpoint`` is a folder with CLIP ViT-L/14 to be used instead of the hub's.
    An older model of that name is replaced once the new one has passed its check, not before.

    Raises :class:`InvalidSource` for what is no usable checkpoint and :class:`Unavailable` when
    the hub cannot be reached.
    """
    aligned = source == GEOCLIP
    folder = checkpoint if aligned else Path(source)
    name = model_name(name or (GEOCLIP if aligned else Path(source).name.lower()))
    if folder is not None and folder.is_dir():
        snapshot = hub.Snapshot(folder, f"local folder {folder.name}", "unknown")
    else:
        progress("download")
        wanted = hub.CLIP_VIT_L14 if aligned else hub.Repository(source, revision)
        snapshot = hub.fetch(wanted, endpoint)
    progress("read")
    read = towers.read(snapshot.folder, aligned=aligned)
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="pull-") as temporary:
        progress("export")
        fresh = Path(temporary, "fresh")
        fresh.mkdir()
        card = _export(read, name, snapshot, fresh, aligned=aligned)
        progress("check")
        _check(read, card)
        card = with_reference(card)
        write_card(card, card.directory / CARD_FILE)
        target = place(fresh, data_dir, name)
    return replace(card, directory=target)


def _export(
    read: towers.Checkpoint, name: str, snapshot: hub.Snapshot, directory: Path, *, aligned: bool
) -> ModelCard:
    height, width = read.preprocessing.crop
    path = directory / f"{name}.onnx"
    example = torch.zeros(2, 3, height, width)
    files = graph.write(read.tower, example, path, inputs="image", outputs=list(read.outputs))
    head = " with GeoCLIP's image head" if aligned else ""
    return ModelCard(
        name=name,
        kind=Kind.IMAGE,
        file=path.name,
        sha256=sha256(path),
        source=f"{snapshot.source}{head}",
        licence=snapshot.licence,
        input=f"image float32 [N, 3, {height}, {width}]",
        outputs=read.outputs,
        preprocessing=read.preprocessing,
        aligned=aligned,
        companions={file: sha256(directory / file) for file in files[1:]},
        directory=directory,
    )


def _check(read: towers.Checkpoint, card: ModelCard) -> None:
    """The written graph against the torch module, on noise."""
    height, width = read.preprocessing.crop
    batch = np.random.default_rng(0).normal(size=(3, 3, height, width)).astype(np.float32)
    session = ort.InferenceSession(card.path, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = read.tower(torch.from_numpy(batch))
    tensors = expected if isinstance(expected, tuple) else (expected,)
    for got, tensor in zip(session.run(list(read.outputs), {"image": batch}), tensors, strict=True):
        length = np.linalg.norm(tensor.numpy(), axis=1, keepdims=True)
        if not np.abs((got - tensor.numpy()) / length).max() <= PARITY:
            raise InvalidSource("The exported model does not agree with the checkpoint.")
