"""The rules for Prometheus' operator: ``python -m monitoring.prometheus_rule`` writes them."""

from __future__ import annotations

from pathlib import Path

import yaml

RULES = Path(__file__).parent / "rules"
TARGET = Path(__file__).parent / "prometheus-rule.yaml"
_HEADING = "# Made of rules/ by `python -m monitoring.prometheus_rule`: change those.\n"


class _Dumper(yaml.SafeDumper):
    """Writes queries as people do: a block, a line each."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def document() -> str:
    """Every group of ``rules/``, as one resource of the operator."""
    groups = [
        {**group, "name": f"{group['name']}-{file.stem}"}  # unique here, as it need not be there
        for file in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
    ]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "geofix", "labels": {"app.kubernetes.io/name": "geofix"}},
        "spec": {"groups": groups},
    }
    return _HEADING + yaml.dump(resource, Dumper=_Dumper, sort_keys=False, width=200)


if __name__ == "__main__":
    TARGET.write_text(document(), "utf-8")
