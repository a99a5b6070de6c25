"""What is trained: heads on frozen features, and a GPS encoder where it is not frozen too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx
import torch
import torch.nn.functional as F  # noqa: N812 – torch's own convention
from onnx import numpy_helper
from torch import Tensor, nn

from geofix.engine.models import LOCATION_MODEL, built_in
from indexer.models.align.harmonics import HarmonicEncoder
from indexer.models.align.losses import Queue, info_nce
from indexer.models.align.options import Gps, Options
from indexer.models.location import CAPSULES, DIMENSION, LocationEncoder

LARGEST_SCALE = 100.0
"""CLIP's bound on the learned inverse temperature."""
LEAST_DEVIATION = 0.1
"""Of a component, in means over all: a component that hardly varies is not blown up."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of the examples: features float32 [n, …], places float32 [n, 2] or [n, 512]."""

    rows: Tensor
    """int64 [n]: which examples."""
    image: Tensor
    place: Tensor
    """Location vectors where the GPS encoder is frozen, else degrees (lat, lon)."""
    text: Tensor | None = None


class Standardise(nn.Module):
    """Unit length, then mean 0 and deviation 1 in each component over the training photos.

    A fixed affine map: it could be folded into the linear layer behind it, whose shape is as
    published, and makes one learning rate fit encoders of any scale.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        unit = F.normalize(features)
        deviation = unit.std(dim=0)
        self.register_buffer("mean", unit.mean(dim=0))
        self.register_buffer(
            "deviation", deviation.clamp(min=LEAST_DEVIATION * float(deviation.mean()))
        )

    def forward(self, features: Tensor) -> Tensor:
        return (F.normalize(features) - self.mean) / self.deviation


def head(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """Linear, ReLU, Linear, as published."""
    return nn.Sequential(
        nn.Linear(inputs, inputs), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inputs, outputs)
    )


class Aligner(nn.Module):
    """All heads, temperatures and the queue; ``losses`` is what training minimises."""

    def __init__(self, image: Tensor, text: Tensor | None, options: Options) -> None:
        """``image`` [N, d] and ``text`` [N, t] are the training photos' features."""
        super().__init__()
        width = image.shape[1]
        self.image_to_gps = nn.Sequential(
            Standardise(image), *head(width, DIMENSION, options.dropout)
        )
        self.gps = gps_encoder(options)
        self.queue = Queue(options.queue, DIMENSION)
        self.scales = nn.ParameterDict({"image_gps": _scale(options)})
        self.image_to_text: nn.Module | None = None
        self.text: nn.Module | None = None
        self.text_to_gps: nn.Module | None = None
        if text is not None:
            depth = text.shape[1]
            self.image_to_text = nn.Sequential(
                Standardise(image), *head(width, depth, options.dropout)
            )
            self.text = nn.Sequential(Standardise(text), *head(depth, depth, options.dropout))
            self.scales["image_text"] = _scale(options)
            if options.text_gps:
                self.text_to_gps = nn.Sequential(
                    Standardise(text), *head(depth, DIMENSION, options.dropout)
                )
                self.scales["text_gps"] = _scale(options)

    def photos(self, image: Tensor) -> Tensor:
        """Features [n, d] → unit vectors of location space [n, 512]."""
        return F.normalize(self.image_to_gps(image))

    def places(self, place: Tensor) -> Tensor:
        """What :class:`Batch` calls places → unit vectors of location space [n, 512]."""
        return F.normalize(place if self.gps is None else self.gps(place))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Each term of the loss by name. The queue serves training only, and moves on with it:
        held-out losses would else depend on how full it is.
        """
        photos, places = self.photos(batch.image), self.places(batch.place)
        uses_queue = self.training and len(self.queue.rows) > 0
        queued = self.queue.negatives_of(batch.rows) if uses_queue else None
        negatives = None if queued is None else self.queue.vectors
        found = {"image_gps": info_nce(photos, places, self._scale("image_gps"), negatives, queued)}
        if self.image_to_text is not None and self.text is not None and batch.text is not None:
            seen = F.normalize(self.image_to_text(batch.image))
            said = F.normalize(self.text(batch.text))
            found["image_text"] = info_nce(seen, said, self._scale("image_text"))
        if self.text_to_gps is not None and batch.text is not None:
            told = F.normalize(self.text_to_gps(batch.text))
            found["text_gps"] = info_nce(told, places, self._scale("text_gps"))
        if uses_queue:
            self.queue.push(places, batch.rows)
        return found

    def _scale(self, term: str) -> Tensor:
        learned: Tensor = self.scales[term]
        return learned.exp().clamp(max=LARGEST_SCALE)


def gps_encoder(options: Options) -> nn.Module | None:
    """The encoder that is trained; None where the built-in one is used as it is."""
    if options.gps is Gps.FROZEN:
        return None
    encoder = (
        HarmonicEncoder(options.harmonics_degree)
        if options.gps is Gps.HARMONICS
        else geoclip_encoder()
    )
    return nn.Sequential(encoder, *head(DIMENSION, DIMENSION, 0.0)) if options.gps_head else encoder


def geoclip_encoder() -> LocationEncoder:
    """GeoCLIP's location encoder with the weights of the built-in file."""
    card = built_in()[LOCATION_MODEL]
    card.require()
    held = {w.name: w for w in onnx.load(card.path).graph.initializer}
    model = LocationEncoder()
    state = {
        name: torch.tensor(numpy_helper.to_array(held[name]))
        for name in model.state_dict()
        if name in held
    }
    # The graph holds the Fourier matrices transposed and in double precision, in capsule order.
    transposed = sorted(name for name in held if name.startswith("permute"))
    for i, name in zip(range(CAPSULES), transposed, strict=True):
        matrix = torch.tensor(numpy_helper.to_array(held[name])).T.float().contiguous()
        state[f"LocEnc{i}.capsule.0.b"] = matrix
    model.load_state_dict(state)
    return model


def _scale(options: Options) -> nn.Parameter:
    return nn.Parameter(torch.tensor(math.log(1 / options.temperature)))
