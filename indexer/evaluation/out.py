"""A report's folder: what came out and, meanwhile, what a kill must not lose."""

from __future__ import annotations

import shutil
from pathlib import Path

from geofix.errors import InvalidSource
from indexer.evaluation import plots
from indexer.evaluation.report import Report

WORK = "work"
"""The folder in it that an unfinished run leaves behind, and a finished one removes."""


def write(report: Report, out: Path) -> bool:
    """Write everything; False where plots would be due and matplotlib is missing.

    Raises InvalidSource where the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        drawable = bool(report.curves) and plots.available()
        drawn = plots.draw(report, out) if drawable else []
        (out / "figures.json").write_text(report.to_json(), encoding="utf-8")
        (out / "report.md").write_text(report.to_markdown(drawn), encoding="utf-8")
        if report.timings:
            (out / "timings.json").write_text(report.timings_json(), encoding="utf-8")
        shutil.rmtree(out / WORK, ignore_errors=True)
    except OSError as error:
        raise InvalidSource(f"{out.name!r} cannot be written: {error.strerror}.") from error
    return drawable or not report.curves
