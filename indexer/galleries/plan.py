"""What a new version of a gallery is to be."""

from __future__ import annotations

from dataclasses import dataclass

from geofix.engine.gallery.port import Quantization


@dataclass(frozen=True, slots=True)
class Plan:
    """What the new version is to be."""

    model: str = ""
    """Encoder; empty = the one it has."""
    quantization: Quantization | None = None
    """None = the one it has."""
    pace: float = 1.0
    """Share of the time that is worked; the rest is left to others."""
    most_missing: float = 0.0
    """Largest share of photos that need not be readable any more."""

    def arguments(self) -> list[str]:
        """The plan as the options of ``python -m indexer.galleries``."""
        return [
            f"--model={self.model}",
            f"--quantization={self.quantization or ''}",
            f"--pace={self.pace}",
            f"--most-missing={self.most_missing}",
        ]
