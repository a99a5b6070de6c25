"""CLIP's ViT-B/32 with random weights, as an ONNX graph of standard operators."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from geofix.engine.encoder import Encoder, fingerprint, reference_picture
from geofix.engine.models import CARD_FILE, Kind, ModelCard, Preprocessing, Resampling, write_card

NAME = "vit"
WIDTH, LAYERS, HEADS, PATCH, SIDE, DIMENSION = 768, 12, 12, 32, 224, 512
PREPROCESSING = Preprocessing(
    SIDE,
    (SIDE, SIDE),
    Resampling.BICUBIC,
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)


class _Graph:
    """Collects nodes and random weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)

    def weight(self, *shape: int) -> str:
        return self.constant(np.float32(0.02) * self._rng.standard_normal(shape, np.float32))

    def constant(self, values: npt.ArrayLike) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: int | list[int]) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, list(inputs), [name], None, None, None, None, **attributes)
        )
        return name

    def linear(self, x: str, width_in: int, width_out: int) -> str:
        product = self.add("MatMul", x, self.weight(width_in, width_out))
        return self.add("Add", product, self.weight(width_out))

    def norm(self, x: str) -> str:
        scale = self.constant(np.ones(WIDTH, dtype=np.float32))
        return self.add("LayerNormalization", x, scale, self.weight(WIDTH), axis=-1)

    def heads(self, x: str, order: list[int]) -> str:
        shape = self.constant(np.array([0, 0, HEADS, WIDTH // HEADS], dtype=np.int64))
        split = self.add("Reshape", self.linear(x, WIDTH, WIDTH), shape)
        return self.add("Transpose", split, perm=order)

    def block(self, x: str) -> str:
        normed = self.norm(x)
        query, value = (self.heads(normed, [0, 2, 1, 3]) for _ in range(2))
        key = self.heads(normed, [0, 2, 3, 1])
        scale = self.constant(np.float32((WIDTH // HEADS) ** -0.5))
        scores = self.add("MatMul", self.add("Mul", query, scale), key)
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), value)
        joined = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        flat = self.constant(np.array([0, 0, WIDTH], dtype=np.int64))
        attended = self.linear(self.add("Reshape", joined, flat), WIDTH, WIDTH)
        x = self.add("Add", x, attended)
        hidden = self.linear(self.norm(x), WIDTH, 4 * WIDTH)
        gated = self.add("Mul", hidden, self.add("Sigmoid", self._times(hidden, 1.702)))
        return self.add("Add", x, self.linear(gated, 4 * WIDTH, WIDTH))

    def _times(self, x: str, factor: float) -> str:
        return self.add("Mul", x, self.constant(np.float32(factor)))


def graph() -> onnx.ModelProto:
    """float32 ``image`` [n, 3, 224, 224] → ``embedding`` [n, 512]; 88 million weights."""
    g = _Graph()
    tokens = (SIDE // PATCH) ** 2
    patches = g.add("Conv", "image", g.weight(WIDTH, 3, PATCH, PATCH), strides=[PATCH, PATCH])
    flat = g.add("Reshape", patches, g.constant(np.array([0, WIDTH, tokens], dtype=np.int64)))
    x = g.add("Transpose", flat, perm=[0, 2, 1])
    # The class token is the mean patch plus a weight: as much work as CLIP's own.
    axis = g.constant(np.array([1], dtype=np.int64))
    first = g.add("Add", g.add("ReduceMean", x, axis, keepdims=1), g.weight(1, 1, WIDTH))
    x = g.add("Concat", first, x, axis=1)
    x = g.norm(g.add("Add", x, g.weight(1, tokens + 1, WIDTH)))
    for _ in range(LAYERS):
        x = g.block(x)
    chosen = g.add("Gather", x, g.constant(np.int64(0)), axis=1)
    g.add("MatMul", g.norm(chosen), g.weight(WIDTH, DIMENSION))
    g.nodes[-1].output[0] = "embedding"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIMENSION])
    made = helper.make_graph(g.nodes, NAME, [image], [embedding], g.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model


def place(data_dir: Path) -> ModelCard:
    """The model among the pulled ones of a data directory."""
    folder = data_dir / "models" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.onnx"
    onnx.save(graph(), path)
    card = ModelCard(
        name=NAME,
        kind=Kind.IMAGE,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        source="random weights",
        licence="CC0-1.0",
        input=f"image float32 [N, 3, {SIDE}, {SIDE}]",
        outputs={"embedding": DIMENSION},
        preprocessing=PREPROCESSING,
        directory=folder,
    )
    vector = Encoder.load(card).encode([reference_picture()])[0].vector
    write_card(replace(card, reference=fingerprint(vector)), folder / CARD_FILE)
    return card
