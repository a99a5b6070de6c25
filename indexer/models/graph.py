"""From a torch module to an ONNX file whose bytes depend on nothing but the weights."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

OPSET = 18
OUTPUT = "output."
"""Before the names of outputs while the exporter works."""
ONE_FILE_BYTES = 2**31 - 2**20
"""Protobuf cannot hold more; larger weights go into a file of their own."""


def write(
    module: nn.Module, example: Tensor, path: Path, *, inputs: str, outputs: Sequence[str]
) -> tuple[str, ...]:
    """Export ``module`` with a free batch size; returns the names of the files written.

    ``example`` is one input with a batch of at least 2, as the exporter takes 0 and 1 for
    constants. Names of source files, line numbers and versions are stripped, so that the same
    weights give the same bytes on every machine.
    """
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[inputs],
            output_names=[OUTPUT + name for name in outputs],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
        )
    if program is None:
        raise RuntimeError("the exporter returned no program")
    model = program.model_proto
    _name_outputs(model, outputs)
    _strip(model)
    return save(model, path)


def save(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Write a graph, with its weights beside it where one file cannot hold them; the names."""
    weights_bytes = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if weights_bytes < ONE_FILE_BYTES:
        path.write_bytes(model.SerializeToString(deterministic=True))
        return (path.name,)
    data = f"{path.name}.data"
    (path.parent / data).unlink(missing_ok=True)  # onnx appends to a file that is there
    onnx.save_model(model, path, save_as_external_data=True, location=data)
    return (path.name, data)


def _name_outputs(model: onnx.ModelProto, names: Sequence[str]) -> None:
    """Give the outputs their names; the exporter would not see that an inner value has one."""
    new = {name: f"{name}.inner" for name in names} | {OUTPUT + name: name for name in names}
    for output in model.graph.output:
        output.name = new.get(output.name, output.name)
    for weight in model.graph.initializer:
        weight.name = new.get(weight.name, weight.name)
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [new.get(value, value) for value in values]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on libraries that no model here needs, and on itself."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registration.setLevel(level)


def _strip(model: onnx.ModelProto) -> None:
    graph = model.graph
    model.producer_version = ""
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
    for tensor in graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    for i, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{i}"
        node.doc_string = ""
        del node.metadata_props[:]
