"""Whether a photo is worth a paid question to a language model.

Language models help where a photo holds readable text or a place with a name, and where the answer
without them is open; on the rest they cost money and can only lose (GeoRouter's finding).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Embedding, Float32Array, Prediction

LANDMARKS: Mapping[int, str] = {
    437: "lighthouse",
    442: "bell tower",
    483: "castle",
    497: "church",
    525: "dam",
    538: "dome",
    624: "library",
    649: "megalith",
    663: "monastery",
    668: "mosque",
    682: "obelisk",
    698: "palace",
    708: "pedestal",
    727: "planetarium",
    821: "through arch bridge",
    832: "stupa",
    839: "suspension bridge",
    863: "totem pole",
    873: "triumphal arch",
    888: "viaduct",
}
"""ImageNet-1k classes of things that have a name of their own."""


class Reason(StrEnum):
    """Why the model is asked, or why not."""

    NOT_WANTED = "not-wanted"
    SURE = "sure"
    CLEAR = "clear"
    OVER_BUDGET = "over-budget"
    WANTED = "wanted"
    TEXT = "text"
    LANDMARK = "landmark"
    LOW_MARGIN = "low-margin"
    HIGH_ENTROPY = "high-entropy"


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a photo before a language model is asked."""

    margin: float
    """Probability of the best cluster less that of the second, 0 to 1; of the posterior so far."""
    entropy_bits: float
    """Of the same posterior over its clusters."""
    text: bool
    """Whether readable text was found."""
    landmark: float
    """Probability that something with a name of its own is shown, 0 to 1."""
    affordable: bool
    """Whether the caller's budget pays for it."""

    @classmethod
    def of(cls, so_far: Prediction, embedding: Embedding, *, affordable: bool) -> Signals:
        """The signals of the answer without a language model, and of the encoder's classes."""
        margin, entropy_bits = margin_and_entropy([c.probability for c in so_far.clusters])
        return cls(
            margin=margin,
            entropy_bits=entropy_bits,
            text=any(not clue.rejected for clue in so_far.text),
            landmark=landmark_probability(embedding.classes),
            affordable=affordable,
        )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the decision turns."""

    sure_margin: float = 0.75
    sure_entropy_bits: float = 1.0
    landmark: float = 0.3
    low_margin: float = 0.2
    high_entropy_bits: float = 3.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to ask, and why."""

    ask: bool
    reason: Reason

    @property
    def degraded(self) -> str:
        """The cause to be told when the model should have been asked and is not; else empty."""
        return self.reason.value if self.reason is Reason.OVER_BUDGET else ""


def decide(
    generators: Collection[str], signals: Signals, thresholds: Thresholds | None = None
) -> Decision:
    """Whether to ask a language model about one photo.

    Args:
        generators: what the caller wants: ``auto``, ``none`` or any of ``text``, ``attributes``,
            ``lmm``. Naming ``lmm`` asks without looking at the photo; ``none`` beats everything.
        signals: what is known of the photo and the budget.
        thresholds: where the decision turns; None = the defaults.
    """
    reason = _reason(generators, signals, thresholds or Thresholds())
    asks = reason in (
        Reason.WANTED,
        Reason.TEXT,
        Reason.LANDMARK,
        Reason.LOW_MARGIN,
        Reason.HIGH_ENTROPY,
    )
    if asks and not signals.affordable:
        return Decision(False, Reason.OVER_BUDGET)
    return Decision(asks, reason)


def margin_and_entropy(probabilities: npt.ArrayLike) -> tuple[float, float]:
    """Margin between the two likeliest and entropy in bits.

    Args:
        probabilities: [N], at least 0, of clusters or cells; what they lack to 1 counts as one
            further, unknown place. Without any, the margin is 0 and the entropy infinite.
    """
    shares = np.asarray(probabilities, dtype=np.float64).ravel()
    total = float(shares.sum())
    if total <= 0.0:
        return 0.0, float("inf")
    shares = shares / max(total, 1.0)
    best = np.sort(np.append(shares, 0.0))[::-1]
    rest = max(1.0 - float(shares.sum()), 0.0)
    outcomes = np.append(shares, rest)
    outcomes = outcomes[outcomes > 0.0]
    entropy = float(-(outcomes * np.log2(outcomes)).sum())
    return float(best[0] - best[1]), max(entropy, 0.0)


def landmark_probability(classes: Float32Array | None) -> float:
    """Probability that something with a name of its own is shown.

    Args:
        classes: float32 [1000], ImageNet's class probabilities; None or another length gives 0.
    """
    if classes is None or len(classes) != 1000:
        return 0.0
    return min(float(np.sum(classes[list(LANDMARKS)])), 1.0)


def _reason(wanted: Collection[str], signals: Signals, at: Thresholds) -> Reason:
    if "none" in wanted or not {"auto", "lmm"} & set(wanted):
        return Reason.NOT_WANTED
    if "lmm" in wanted:
        return Reason.WANTED
    if signals.margin >= at.sure_margin and signals.entropy_bits <= at.sure_entropy_bits:
        return Reason.SURE
    for holds, reason in (
        (signals.text, Reason.TEXT),
        (signals.landmark >= at.landmark, Reason.LANDMARK),
        (signals.margin < at.low_margin, Reason.LOW_MARGIN),
        (signals.entropy_bits > at.high_entropy_bits, Reason.HIGH_ENTROPY),
    ):
        if holds:
            return reason
    return Reason.CLEAR
