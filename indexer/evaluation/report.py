"""A measurement's figures as a table for people, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rich.table import Table

from indexer.evaluation.datasets import Skipped
from indexer.evaluation.metrics import Interval


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, with its 95 % bootstrap interval where it has one."""

    name: str
    value: float
    unit: str = ""
    """``%``, ``km``, ``km²``, ``bits``, ``ms`` or empty."""
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, name: str, interval: Interval, unit: str = "") -> Figure:
        """The figure of a bootstrap."""
        return cls(name, interval.value, unit, interval.low, interval.high)


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, on what, and what came out."""

    title: str
    about: Mapping[str, str]
    """What the figures depend on, for people: encoder, gallery, photos …"""
    figures: tuple[Figure, ...]
    timings: tuple[Figure, ...] = ()
    """Apart from the figures, because they differ from run to run."""
    skipped: tuple[Skipped, ...] = ()
    photos: tuple[Mapping[str, object], ...] = field(default=(), repr=False)
    """One row for each photo, in JSON's types."""

    def tables(self) -> list[Table]:
        """For a terminal."""
        about = Table.grid(padding=(0, 2))
        for name, text in self.about.items():
            about.add_row(name, text)
        figures = Table(title=self.title, title_justify="left", box=None, pad_edge=False)
        figures.add_column("figure")
        figures.add_column("value", justify="right")
        figures.add_column("95 % interval", justify="right")
        for figure in (*self.figures, *self.timings):
            figures.add_row(*_cells(figure))
        return [figures, about]

    def to_json(self) -> str:
        """Everything, ending in a line feed."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n"

    def to_markdown(self) -> str:
        """Figures and what they depend on; timings are left out, so that equal runs are equal."""
        lines = [f"## {self.title}", "", *_rows(("figure", "value", "95 % interval"))]
        lines += ["|---|---:|---:|"]
        lines += [row for figure in self.figures for row in _rows(_cells(figure))]
        lines += ["", *(f"- {name}: {text}" for name, text in self.about.items())]
        lines += [f"- skipped {photo.key}: {photo.cause}" for photo in self.skipped]
        return "\n".join(lines) + "\n"


def _cells(figure: Figure) -> tuple[str, str, str]:
    value = f"{_number(figure.value, figure.unit)} {figure.unit}".strip()
    if figure.low is None or figure.high is None:
        return figure.name, value, ""
    interval = " to ".join(_number(end, figure.unit) for end in (figure.low, figure.high))
    return figure.name, value, interval


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100.0 * value:.1f}"
    if unit == "bits" or abs(value) < 1.0:
        return f"{value:.3f}"
    return f"{value:.1f}" if abs(value) < 1000.0 else f"{value:,.0f}".replace(",", " ")


def _rows(cells: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |"]
