"""Prometheus' rules: they parse, their unit tests pass, and somebody can act on each alert."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "monitoring" / "rules"
CASES = sorted((ROOT / "monitoring" / "tests").glob("*.yml"))


def _alerts() -> dict[str, dict[str, dict[str, str]]]:
    groups = yaml.safe_load((RULES / "alerts.yml").read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.tools
def test_rules_parse_and_pass_their_unit_tests() -> None:
    for command in (
        ["check", "rules", *map(str, sorted(RULES.glob("*.yml")))],
        ["test", "rules", *map(str, CASES)],
    ):
        done = subprocess.run(  # noqa: S603
            ["promtool", *command],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_to_fire_and_to_stay_quiet() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for path in CASES:
        for case in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for expected in case.get("alert_rule_test", []):
                (fires if expected["exp_alerts"] else quiet).add(expected["alertname"])
    assert fires == set(_alerts())
    assert quiet == set(_alerts())


def test_each_alert_has_its_section_of_the_runbooks() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text("utf-8")
    sections = re.findall(r"^## (\w+)$", text, re.MULTILINE)
    assert sorted(sections) == sorted(_alerts())
    for name, alert in _alerts().items():
        assert alert["annotations"]["runbook"] == f"docs/runbooks.md#{name.lower()}"
        assert alert["labels"]["severity"] in ("page", "ticket")
