"""A report's curves as PNG, by matplotlib (``pip install geofix[evaluate]``)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from geofix.engine.types import LEVELS_KM
from indexer.evaluation.report import Figure, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (6.4, 4.2)
_DPI = 100
_INK, _FAINT = "#1b3a4b", "#9aa5ab"
_COLOURS = ("#264653", "#2a9d8f", "#8ab17d", "#e9a23b", "#c8553d")


def available() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(report: Report, folder: Path) -> list[str]:
    """Write the plots into ``folder``; returns their file names, in the order of a report.

    Equal reports give equal files.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415

    files = []
    for name, drawing in _DRAWINGS.items():
        canvas = Canvas(figsize=_SIZE, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.add_subplot()
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        drawing(axes, report)
        canvas.savefig(folder / f"{name}.png", metadata={"Software": None})
        files.append(f"{name}.png")
    return files


def _errors(axes: Axes, report: Report) -> None:
    curve = report.curves["share of photos by error (km)"]
    for level in LEVELS_KM:
        axes.axvline(level, color=_FAINT, linewidth=0.8, linestyle=":")
    axes.plot(curve.x, curve.y, color=_INK)
    axes.set(xscale="log", ylim=(0, 1), xlabel="error, km", ylabel="share of photos within it")


def _searched(axes: Axes, report: Report) -> None:
    curve = report.curves["recall by area searched (km²)"]
    axes.axhline(0.5, color=_FAINT, linewidth=0.8, linestyle=":")
    axes.step(curve.x, curve.y, where="post", color=_INK)
    axes.set(xscale="log", ylim=(0, 1), xlabel="area searched, km²", ylabel="share of truths found")


def _risk(axes: Axes, report: Report) -> None:
    curve = report.curves["risk by coverage"]
    axes.plot(curve.x, curve.y, color=_INK)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="share of photos answered, the surest first",
        ylabel="1 − GeoScore / 5000",
    )


def _reliability(axes: Axes, report: Report) -> None:
    axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.8, linestyle=":")
    for level, colour in zip(LEVELS_KM, _COLOURS, strict=True):
        curve = report.curves[f"observed by claimed, {level:g} km"]
        axes.plot(curve.x, curve.y, color=colour, marker="o", label=f"{level:g} km")
    axes.legend(title="within", frameon=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="claimed probability", ylabel="observed share")


def _information(axes: Axes, report: Report) -> None:
    gains = [f for f in report.figures if f.unit == "bits" and "prior" in f.name]
    names = [_channel(figure) for figure in gains]
    values = [figure.value for figure in gains]
    low = [figure.value - (figure.low or 0.0) for figure in gains]
    high = [(figure.high or 0.0) - figure.value for figure in gains]
    axes.axvline(0.0, color=_FAINT, linewidth=0.8)
    axes.barh(names, values, xerr=[low, high], color=_COLOURS[1], ecolor=_INK, capsize=3)
    axes.invert_yaxis()
    axes.set(xlabel="information gain at the truth over the prior, bits")


def _channel(figure: Figure) -> str:
    if figure.name == "gain over the prior":
        return "whole answer"
    return figure.name.removeprefix("gain over the prior of ").removesuffix(" alone")


_DRAWINGS: dict[str, Callable[[Axes, Report], None]] = {
    "errors": _errors,
    "recall-versus-area": _searched,
    "risk-coverage": _risk,
    "reliability": _reliability,
    "information-gain": _information,
}
