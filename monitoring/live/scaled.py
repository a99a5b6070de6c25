"""Prometheus' configuration and rules as they are deployed, with time running faster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

HERE = Path(__file__).parents[1]
SCALE = 15
"""Five minutes are 20 seconds. What a process itself does is no faster, and has time of its own."""
_SCRAPE = "3s"
"""A fifth of the real one: a scrape that waits for what is down takes one."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"\b(\d+)([smhd])\b")
_RANGE = re.compile(r"\[(\d+)([smhd])\]")
_AGE = re.compile(r"(_seconds(?:\{[^}]*\})?\) > )(\d+)")
_LONGER_S = 8
"""What a process takes to start again, or a busy machine to answer two scrapes, is no outage: all
alerts wait so much longer, causes still before what follows from them."""
_LEAST_AGE_S = 15
"""Ages are compared with what our own clocks do, sweeps every five seconds for one."""


def write(folder: Path, targets: Mapping[str, list[str]]) -> Path:
    """Write the configuration for these targets, by job, and the rules; returns its path."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    for path in (HERE / "rules").glob("*.yml"):
        (rules / path.name).write_text(yaml.safe_dump(_rules(path)), "utf-8")
    config = yaml.safe_load((HERE / "prometheus.yml").read_text("utf-8"))
    config["global"]["scrape_interval"] = _SCRAPE
    config["global"]["evaluation_interval"] = _shorter(config["global"]["evaluation_interval"])
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": targets[job["job_name"]]}]
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(config), "utf-8")
    return written


def _rules(path: Path) -> dict[str, object]:
    loaded: dict[str, list[dict[str, object]]] = yaml.safe_load(path.read_text("utf-8"))
    for group in loaded["groups"]:
        if "interval" in group:
            group["interval"] = _shorter(str(group["interval"]))
        rules = group["rules"]
        assert isinstance(rules, list)  # noqa: S101 - Prometheus' own format
        for rule in rules:
            rule["expr"] = _expression(rule["expr"])
            if "for" in rule:
                rule["for"] = _shorter(rule["for"], _LONGER_S)
    return {**loaded}


def _expression(text: str) -> str:
    text = _RANGE.sub(lambda found: f"[{_shorter(found[1] + found[2])}]", text)
    return _AGE.sub(lambda found: f"{found[1]}{max(_LEAST_AGE_S, int(found[2]) // SCALE)}", text)


def _shorter(duration: str, longer_s: int = 0) -> str:
    def milliseconds(found: re.Match[str]) -> str:
        return f"{int(found[1]) * _SECONDS[found[2]] * 1000 // SCALE + longer_s * 1000}ms"

    return _DURATION.sub(milliseconds, duration)
