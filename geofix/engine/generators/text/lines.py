"""A line of text as a reader hands it on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text as it was read."""

    text: str
    confidences: tuple[float, ...]
    """Of each character, 0 to 1."""
    centres: tuple[float, ...]
    """Of each character, along the line, in line heights."""
    length: float
    """Of the line, in line heights."""
    height: float
    """Of the line, in pixels of the picture that was read."""
    box: Corners
    """Corners (x, y) as shares of width and height, clockwise from top left."""
    upright: bool = False
    """Whether its box stands on its short side: vertical text, or no text at all."""
    reader: str = "rapidocr"

    @property
    def confidence(self) -> float:
        """Mean over the characters; 0 where nothing was read."""
        return float(np.mean(self.confidences)) if self.confidences else 0.0
