"""How an alignment is trained; the defaults are the published ones where there are any."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from geofix.geo.cells import MAX_LEVEL


class Gps(StrEnum):
    """What turns a coordinate into a vector of location space."""

    FROZEN = "frozen"
    """The built-in GeoCLIP encoder as it is: its location space stays valid."""
    GEOCLIP = "geoclip"
    """GeoCLIP's encoder as the start, and trained: Equal Earth in, a location space of its own."""
    HARMONICS = "harmonics"
    """Spherical harmonics and a SIREN, from scratch: no seam at ±180° and no poles."""


class Options(BaseModel):
    """Everything that a trained alignment depends on, but for the photos."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gps: Gps = Gps.FROZEN
    gps_head: bool = False
    """Linear, ReLU, Linear behind a trained GPS encoder, as G3 has it."""
    harmonics_degree: Annotated[int, Field(ge=1, le=40)] = 16
    """Of the finest harmonics, exclusive: degree L gives L² of them."""
    text_gps: bool = False
    """A third loss, between text and GPS; G3 has none."""
    queue: Annotated[int, Field(ge=0)] = 0
    """GPS vectors of earlier batches that serve as further negatives; G3 has none."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Within the heads; G3 has none."""
    temperature: Annotated[float, Field(gt=0.01, le=10)] = 0.07
    """Where the learned temperatures start."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-5
    weight_decay: Annotated[float, Field(ge=0)] = 1e-6
    decay: Annotated[float, Field(gt=0, le=1)] = 0.87
    """Of the learning rate, after each epoch."""
    epochs: Annotated[int, Field(ge=1)] = 10
    batch: Annotated[int, Field(ge=2)] = 256
    hold_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the photos, in whole cells, that nothing is trained on."""
    cell_level: Annotated[int, Field(ge=0, le=MAX_LEVEL)] = 4
    """S2 level of the cells held out; at 4 a cell is some 500 km wide."""
    patience: Annotated[int, Field(ge=0)] = 3
    """Epochs without a better held-out loss before training ends; 0 = never before the last."""
    seed: int = 0
    threads: Annotated[int, Field(ge=1)] = 1
    """Of torch. Runs are equal to the bit for equal threads only; 1 is equal everywhere."""

    @model_validator(mode="after")
    def _head_is_trained(self) -> Self:
        if self.gps_head and self.gps is Gps.FROZEN:
            raise ValueError("a head behind the GPS encoder needs one that is trained")
        return self

    def same_training(self, other: Options) -> bool:
        """Whether a run under ``other`` may go on under these: all but its length is equal."""
        length = {"epochs": self.epochs, "patience": self.patience}
        return other.model_copy(update=length) == self
