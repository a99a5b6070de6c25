"""A measurement's figures as a table for people, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rich.table import Table

from indexer.evaluation.datasets import Skipped
from indexer.evaluation.metrics import Curve, Interval

_DIGITS = 6
"""Significant ones in JSON: more would only say which machine it was."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, with its 95 % bootstrap interval where it has one."""

    name: str
    value: float
    unit: str = ""
    """``%``, ``km``, ``km²``, ``bits``, ``ms``, ``USD`` or empty."""
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, name: str, interval: Interval, unit: str = "") -> Figure:
        """The figure of a bootstrap."""
        return cls(name, interval.value, unit, interval.low, interval.high)


@dataclass(frozen=True, slots=True)
class Line:
    """The main figures of some of the photos."""

    name: str
    photos: int
    accuracy: Mapping[str, float]
    """By level in km."""
    median_km: float
    geo_score: float
    within_radius_90: float
    gain_prior_bits: float


@dataclass(frozen=True, slots=True)
class Group:
    """The photos told apart by one property."""

    property: str
    lines: tuple[Line, ...]


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
    groups: tuple[Group, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict, repr=False)

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
        """Everything but the timings, so that equal runs are equal; ends in a line feed."""
        content = {
            "title": self.title,
            "about": dict(self.about),
            "figures": [asdict(figure) for figure in self.figures],
            "groups": [asdict(group) for group in self.groups],
            "curves": {
                name: {"x": curve.x.tolist(), "y": curve.y.tolist()}
                for name, curve in self.curves.items()
            },
            "skipped": [asdict(photo) for photo in self.skipped],
            "photos": [dict(photo) for photo in self.photos],
        }
        return _json(content)

    def timings_json(self) -> str:
        """The timings alone."""
        return _json([asdict(figure) for figure in self.timings])

    def to_markdown(self, plots: Sequence[str] = ()) -> str:
        """Figures and what they depend on, without timings, and the files of plots beside it."""
        lines = [f"# {self.title}", "", *_rows(("figure", "value", "95 % interval"))]
        lines += ["|---|---:|---:|"]
        lines += [row for figure in self.figures for row in _rows(_cells(figure))]
        lines += ["", *(f"- {name}: {text}" for name, text in self.about.items())]
        lines += [f"- skipped {photo.key}: {photo.cause}" for photo in self.skipped]
        for group in self.groups:
            lines += ["", f"## By {group.property}", "", *_table(group)]
        if plots:
            lines += ["", "## Plots", "", *(f"![{_caption(file)}]({file})" for file in plots)]
        return "\n".join(lines) + "\n"


def _json(content: object) -> str:
    return json.dumps(_rounded(content), ensure_ascii=False, indent=1) + "\n"


def _rounded(value: object) -> object:
    """Every number with six significant digits, or six decimals where it is larger than one."""
    if isinstance(value, float):
        return round(value, _DIGITS) if abs(value) >= 1.0 else float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _caption(file: str) -> str:
    return file.removesuffix(".png").replace("-", " ")


def _table(group: Group) -> list[str]:
    levels = [f"Acc@{km}" for km in group.lines[0].accuracy] if group.lines else []
    head = (group.property, "photos", *levels, "median km", "GeoScore", "in 90 % radius", "bits")
    rows = [
        (
            line.name,
            str(line.photos),
            *(_number(share, "%") for share in line.accuracy.values()),
            _number(line.median_km, "km"),
            _number(line.geo_score, ""),
            _number(line.within_radius_90, "%"),
            _number(line.gain_prior_bits, "bits"),
        )
        for line in group.lines
    ]
    return [*_rows(head), "|---" + "|---:" * (len(head) - 1) + "|", *(_rows(r)[0] for r in rows)]


def _cells(figure: Figure) -> tuple[str, str, str]:
    value = f"{_number(figure.value, figure.unit)} {figure.unit}".strip()
    if figure.low is None or figure.high is None:
        return figure.name, value, ""
    interval = " to ".join(_number(end, figure.unit) for end in (figure.low, figure.high))
    return figure.name, value, interval


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100.0 * value:.1f}"
    if value == 0.0:
        return "0"
    if unit in ("bits", "USD") or abs(value) < 1.0:
        return f"{value:.3f}"
    return f"{value:.1f}" if abs(value) < 1000.0 else f"{value:,.0f}".replace(",", " ")


def _rows(cells: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |"]
