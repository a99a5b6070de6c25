"""Checkpoints that a power cut cannot halve, with every random state in them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from pickle import UnpicklingError
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from geofix.engine.gallery.durable import replacing
from geofix.errors import InvalidSource

FILE = "checkpoint.pt"


class State(TypedDict):
    """All that a run needs to go on as if nothing had happened."""

    options: str
    """JSON."""
    examples: str
    """Fingerprint of what is trained on."""
    model: dict[str, Tensor]
    optimizer: dict[str, object]
    best: dict[str, Tensor]
    """The model after the epoch with the least held-out loss; empty before the first."""
    best_epoch: int
    order: Tensor
    """int64: rows of the running epoch in the order they are trained on."""
    step: int
    """Batches of it that are done."""
    sums: dict[str, float]
    """Of each loss over them."""
    history: str
    """JSON: what was measured after each epoch."""
    torch_rng: Tensor
    numpy_rng: str
    python_rng: str


def write(state: State, folder: Path) -> None:
    """Replace the folder's checkpoint; the old one stays until the new one is on the disk."""
    with replacing(folder / FILE) as fresh:
        torch.save(dict(state), fresh)


def read(folder: Path) -> State | None:
    """The folder's checkpoint, None without one; :class:`InvalidSource` for a damaged one."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, UnpicklingError) as error:
        raise InvalidSource(f"The checkpoint of {folder.name!r} is damaged.") from error
    return state


def random_states(shuffle: np.random.Generator) -> tuple[Tensor, str, str]:
    """Of torch, of ``shuffle`` and of Python."""
    return (
        torch.get_rng_state(),
        json.dumps(shuffle.bit_generator.state),
        json.dumps(random.getstate()),
    )


def restore_random_states(state: State, shuffle: np.random.Generator) -> None:
    """Undo whatever was drawn since :func:`random_states`."""
    torch.set_rng_state(state["torch_rng"])
    shuffle.bit_generator.state = json.loads(state["numpy_rng"])
    version, numbers, gauss = json.loads(state["python_rng"])
    random.setstate((version, tuple(numbers), gauss))
