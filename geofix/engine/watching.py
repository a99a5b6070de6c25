"""Whoever wants to know what the engine does: metrics, in the service."""

from __future__ import annotations

from collections.abc import Mapping

from geofix.engine.types import (
    Degradation,
    Lane,
    LmmCall,
    LocateOptions,
    Prediction,
    StageEvent,
)


class Watcher:
    """Is told what happens as it happens; this one does nothing with it.

    Called on the event loop, ``run``, ``waited`` and ``refused`` from any thread: a method must
    neither wait nor raise.
    """

    def stage(self, event: StageEvent) -> None:
        """A stage of an answer has finished."""

    def call(self, call: LmmCall) -> None:
        """A language model was called, or was not for the reason it names."""

    def rejected(self, generations: Mapping[str, int]) -> None:
        """So many generations of an answer were no candidates, by cause."""

    def degraded(self, degradation: Degradation) -> None:
        """An answer lacks a channel."""

    def answered(self, prediction: Prediction, options: LocateOptions) -> None:
        """An answer was concluded."""

    def run(self, photos: int, seconds: float) -> None:
        """The encoder has run once over so many photos."""

    def waited(self, seconds: float) -> None:
        """A photo is encoded; it has waited so long for a decoder and for the model."""

    def refused(self, lane: Lane) -> None:
        """A photo was refused, as too many are waiting."""
