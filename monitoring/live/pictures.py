"""Dashboards as pages of a PDF: every panel's query results, drawn as Grafana would."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from monitoring.live.panels import EMPTY, Shown

_COLUMNS = 2
_WIDTH, _HEIGHT = 6.4, 2.6
"""Of a panel, in inches."""
_MOST_NAMED = 8
_UNITS = {
    "percentunit": lambda value: f"{100 * value:g} %",
    "bytes": lambda value: f"{value / 2**20:g} MiB",
    "s": lambda value: f"{value:g} s",
    "lengthkm": lambda value: f"{value:g} km",
    "currencyUSD": lambda value: f"${value:g}",
    "reqps": lambda value: f"{value:g}/s",
    "bool": lambda value: {0.0: "no", 1.0: "yes"}.get(value, ""),
}


def draw(shown: Sequence[Shown], path: Path) -> None:
    """One page a dashboard."""
    with PdfPages(path) as pages:
        for title, panels in groupby(shown, lambda one: one.board.title):
            pages.savefig(_page(title, list(panels)))


def _page(title: str, shown: Sequence[Shown]) -> Figure:
    rows = -(-len(shown) // _COLUMNS)
    size = (_COLUMNS * _WIDTH, rows * _HEIGHT + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontweight="bold")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axes, one in zip(grid.flat, shown, strict=False):
        _panel(axes, one)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    return figure


def _panel(axes: Axes, shown: Shown) -> None:
    lines = [line for found in shown.found.values() for line in found if line.points]
    lines.sort(key=lambda line: -max(value for _, value in line.points))
    began = min((line.points[0][0] for line in lines), default=0.0)
    for number, line in enumerate(lines):
        times = [at - began for at, _ in line.points]
        name = line.legend if number < _MOST_NAMED else None
        style = "-" if number < 10 else ":"
        axes.plot(times, [value for _, value in line.points], style, lw=1.2, label=name)
    axes.set_title(shown.panel.title, fontsize=9, loc="left")
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
    unit = _UNITS.get(shown.panel.unit)
    if unit is not None:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: unit(value)))
    axes.grid(alpha=0.3)
    axes.set_ylim(bottom=0)
    if lines:
        more = len(lines) - _MOST_NAMED
        title = f"and {more} more" if more > 0 else None
        axes.legend(
            fontsize=6,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            title=title,
            title_fontsize=6,
        )
    empty = [
        legend for legend, found in shown.found.items() if not any(line.points for line in found)
    ]
    if empty:
        reasons = "; ".join(f"{legend}: {EMPTY.get(legend, 'no data')}" for legend in empty)
        axes.text(0.02, 0.02, reasons, fontsize=5.5, transform=axes.transAxes, color="tab:red")
