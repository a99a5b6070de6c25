"""What the photo shows × what the map holds there: a weight for every cell of land.

The class head says how likely each of ImageNet's 1000 classes is. ``class_attributes.csv`` says
how far a class speaks for an attribute of a place (a seashore for the coast, a tractor for
farmland), ``maps`` how likely a photo taken in a cell shows it. Within a facet (how
settled, what ground, what water, what climate, which part of the world) the attributes exclude
each other, so a cell's likelihood ratio is the mixture Σ p(attribute | photo)·p(attribute | cell) /
p(attribute), with ratio 1 for what the classes leave unsaid; facets multiply, as in the ensembling
of "Recall vs Area" (RvA). A mixture cannot be far wrong: a facet never takes more from a cell than
the share it leaves unsaid.
"""

from __future__ import annotations

import asyncio
import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from geofix.engine.generators.attributes.maps import attribute_maps
from geofix.engine.types import (
    AttributeClue,
    Channel,
    Float32Array,
    Proposal,
    Query,
)
from geofix.geo.priors import photo_prior

CLASSES = 1000
"""Of ImageNet-1k (ILSVRC 2012), in the order of their WordNet ids."""
RELIABILITY = 0.5
"""How often what the head names is there, in photos unlike ImageNet's own.

Between the top-1 accuracy of networks of this strength on ImageNet's twin ImageNetV2 (about 0.63;
Recht et al., ICML 2019) and on objects in unposed settings (about 0.3; ObjectNet, NeurIPS 2019).
"""
_EVIDENCE = 0.1
"""Attributes at least this probable are shown as evidence."""


@dataclass(frozen=True, slots=True)
class AttributeTable:
    """The class head's classes × the attributes they speak for."""

    names: tuple[str, ...]
    """A attributes, those of one facet side by side."""
    facets: tuple[slice, ...]
    """Where each facet's attributes are in ``names``."""
    strengths: Float32Array
    """float32 [1000, A]: probability of the attribute where the class is really shown."""
    excess: Float32Array
    """float32 [A, N]: p(attribute | cell) / p(attribute) - 1 over the cells of ``earth()``."""

    def probabilities(self, classes: Float32Array) -> Float32Array:
        """float32 [A]: p(attribute | photo) of the head's probabilities ``classes`` [1000]."""
        return np.asarray(RELIABILITY * (classes @ self.strengths), dtype=np.float32)

    def log_ratio(self, probabilities: Float32Array) -> Float32Array:
        """float32 [N]: natural-log likelihood ratio of each cell given p(attribute | photo)."""
        total = np.zeros(self.excess.shape[1], dtype=np.float32)
        for facet in self.facets:
            total += np.log1p(probabilities[facet] @ self.excess[facet])
        return total


class AttributesGenerator:
    """Weighs the cells of ``earth()`` by what the encoder's class head sees.

    Encoders without a class head get an empty proposal.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s

    @property
    def channel(self) -> Channel:
        return Channel.ATTRIBUTES

    @property
    def budget_s(self) -> float:
        return self._budget_s

    async def propose(self, query: Query) -> Proposal:
        classes = query.embedding.classes
        if classes is None:
            return Proposal(Channel.ATTRIBUTES)
        return await asyncio.to_thread(weigh, classes)


def weigh(classes: Float32Array) -> Proposal:
    """Cell weights and evidence from the head's probabilities ``classes``, float32 [1000]."""
    if classes.shape != (CLASSES,):
        raise ValueError(f"expected the probabilities of {CLASSES} classes, not {classes.shape}")
    table = attribute_table()
    probabilities = table.probabilities(classes)
    return Proposal(
        channel=Channel.ATTRIBUTES,
        cells=table.log_ratio(probabilities),
        attributes=_evidence(table.names, probabilities),
    )


@lru_cache(maxsize=1)
def attribute_table() -> AttributeTable:
    """The classes against the map, built once per process."""
    spoken_for = class_strengths()
    maps = {
        facet: {name: values for name, values in members.items() if name in spoken_for}
        for facet, members in attribute_maps().items()
    }
    ends = np.cumsum([len(members) for members in maps.values()]).tolist()
    given = {name: values for members in maps.values() for name, values in members.items()}
    seen = np.stack(list(given.values()))
    ratio = seen / (seen @ photo_prior())[:, None]
    return AttributeTable(
        names=tuple(given),
        facets=tuple(slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)),
        strengths=np.stack([spoken_for[name] for name in given], axis=1),
        excess=(ratio - 1.0).astype(np.float32),
    )


def class_strengths() -> dict[str, Float32Array]:
    """By attribute, float32 [1000]: how far each class speaks for it (``class_attributes.csv``).

    0.9 where the class is the attribute by definition, 0.6 where it is typical of it, 0.3 where it
    leans to it; the column ``source`` says on what ground.
    """
    strengths: dict[str, Float32Array] = {}
    table = resources.files(__package__).joinpath("data", "class_attributes.csv")
    with table.open("r", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            classes = strengths.setdefault(row["attribute"], np.zeros(CLASSES, dtype=np.float32))
            classes[int(row["index"])] = float(row["strength"])
    return strengths


def _evidence(names: tuple[str, ...], probabilities: Float32Array) -> tuple[AttributeClue, ...]:
    likeliest = np.argsort(-probabilities, kind="stable")
    return tuple(
        AttributeClue(names[at], float(probabilities[at]))
        for at in likeliest.tolist()
        if probabilities[at] >= _EVIDENCE
    )
