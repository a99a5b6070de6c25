"""What every panel of every dashboard shows of a live site."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import httpx
from pydantic import BaseModel

from monitoring.dashboards import DASHBOARDS, Dashboard, Panel

RATE_INTERVAL = "15s"
"""Five scrapes."""
STEP_S = 2

EMPTY = {
    "again: {{task}}": "no message was delivered twice: the broker has lost no worker",
}
"""Legends of queries that find nothing, and why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a panel."""

    legend: str
    points: list[tuple[float, float]]
    """Unix seconds, value; finite ones alone."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel with what its queries found, by their legends."""

    board: Dashboard
    panel: Panel
    found: dict[str, list[Line]]

    @property
    def unexplained(self) -> list[str]:
        """Queries without data, for which no reason is known."""
        return [
            f"{self.board.title} / {self.panel.title} / {legend}"
            for legend, lines in self.found.items()
            if not any(line.points for line in lines) and legend not in EMPTY
        ]


class _Series(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, float]]


class _Data(BaseModel):
    result: list[_Series]


class _Answer(BaseModel):
    data: _Data


def look(prometheus: str, seconds: float) -> list[Shown]:
    """Ask Prometheus for every panel, over the last ``seconds``."""
    end = time.time()
    with httpx.Client(base_url=prometheus, timeout=30.0) as client:
        return [
            Shown(
                board,
                panel,
                {
                    legend: _lines(client, legend or panel.title, query, end - seconds, end)
                    for legend, query in panel.queries.items()
                },
            )
            for board in DASHBOARDS
            for panel in board.panels
        ]


def _lines(client: httpx.Client, legend: str, query: str, start: float, end: float) -> list[Line]:
    asked = {
        "query": query.replace("$__rate_interval", RATE_INTERVAL),
        "start": str(start),
        "end": str(end),
        "step": str(STEP_S),
    }
    answer = client.post("/api/v1/query_range", data=asked).raise_for_status()
    return [
        Line(
            _filled(legend, series.metric),
            [(at, value) for at, value in series.values if math.isfinite(value)],
        )
        for series in _Answer.model_validate_json(answer.content).data.result
    ]


def _filled(legend: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend


def targets(prometheus: str) -> dict[str, str]:
    """Health of every target by its address."""
    found = httpx.get(f"{prometheus}/api/v1/targets", timeout=30.0).raise_for_status().json()
    return {one["labels"]["instance"]: one["health"] for one in found["data"]["activeTargets"]}


def firing(prometheus: str) -> set[str]:
    """Names of the alerts that fire now."""
    found = httpx.get(f"{prometheus}/api/v1/alerts", timeout=30.0).raise_for_status().json()
    return {
        one["labels"]["alertname"] for one in found["data"]["alerts"] if one["state"] == "firing"
    }
