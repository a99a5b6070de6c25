"""Small encoders of our own to re-index to: what they see is little, and always the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from geofix.engine.models import CARD_FILE, Kind, ModelCard, Preprocessing, Resampling, write_card

_OPSET = 17
_PIXELS = 224
_GRID = 8


def add_location_encoder(data_dir: Path, name: str, dimension: int = 64, waves: int = 48) -> None:
    """A location encoder among the pulled models of ``data_dir``: plane waves over the sphere.

    Their lengths go from the Earth's own to 10 km, as those of GeoCLIP's do: with long ones alone
    neighbouring towns would differ by less than int8 can tell.
    """
    rng = np.random.default_rng(len(name))
    scales = 10.0 ** rng.uniform(0.5, 3.5, waves)
    directions = (rng.normal(size=(3, waves)) * scales).astype(np.float32)
    mixing = rng.normal(size=(2 * waves, dimension)).astype(np.float32)
    constants = {
        "radians": np.array(np.pi / 180.0, dtype=np.float32),
        "directions": directions,
        "mixing": mixing,
        "first": np.array([0]),
        "second": np.array([1]),
    }
    nodes = [
        helper.make_node("Mul", ["latlon", "radians"], ["angles"]),
        helper.make_node("Gather", ["angles", "first"], ["lat"], axis=1),
        helper.make_node("Gather", ["angles", "second"], ["lon"], axis=1),
        helper.make_node("Cos", ["lat"], ["coslat"]),
        helper.make_node("Sin", ["lat"], ["z"]),
        helper.make_node("Cos", ["lon"], ["coslon"]),
        helper.make_node("Sin", ["lon"], ["sinlon"]),
        helper.make_node("Mul", ["coslat", "coslon"], ["x"]),
        helper.make_node("Mul", ["coslat", "sinlon"], ["y"]),
        helper.make_node("Concat", ["x", "y", "z"], ["xyz"], axis=1),
        helper.make_node("MatMul", ["xyz", "directions"], ["phase"]),
        helper.make_node("Cos", ["phase"], ["even"]),
        helper.make_node("Sin", ["phase"], ["odd"]),
        helper.make_node("Concat", ["even", "odd"], ["waves"], axis=1),
        helper.make_node("MatMul", ["waves", "mixing"], ["location"]),
    ]
    _write(data_dir, name, Kind.LOCATION, nodes, constants, ("latlon", [None, 2]), dimension)


def add_image_encoder(data_dir: Path, name: str) -> None:
    """An image encoder among the pulled models: mean colours of 8 x 8 tiles, off their mean."""
    tile = _PIXELS // _GRID
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["tiles"], kernel_shape=[tile, tile], strides=[tile, tile]
        ),
        helper.make_node("Flatten", ["tiles"], ["flat"]),
        helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["embedding"]),
    ]
    shape = [None, 3, _PIXELS, _PIXELS]
    _write(data_dir, name, Kind.IMAGE, nodes, {}, ("image", shape), 3 * _GRID * _GRID)


def _write(
    data_dir: Path,
    name: str,
    kind: Kind,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]],
    given: tuple[str, list[int | None]],
    dimension: int,
) -> None:
    output = "location" if kind is Kind.LOCATION else "embedding"
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, given[1])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, dimension])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    folder = data_dir / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(data)
    half = (0.5, 0.5, 0.5)
    card = ModelCard(
        name=name,
        kind=kind,
        file=f"{name}.onnx",
        sha256=hashlib.sha256(data).hexdigest(),
        source="made here",
        licence="Apache-2.0",
        input=f"{given[0]} float32",
        outputs={output: dimension},
        preprocessing=Preprocessing(256, (_PIXELS, _PIXELS), Resampling.BICUBIC, half, half)
        if kind is Kind.IMAGE
        else None,
        aligned=kind is Kind.LOCATION,
        directory=folder,
    )
    write_card(card, folder / CARD_FILE)
