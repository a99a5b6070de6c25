"""The containers as Dockerfile and docker-compose.yml describe them, read and not copied."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"
_VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Container:
    """What is started, with which environment, and how one learns whether it is well."""

    command: list[str]
    environment: dict[str, str]
    healthcheck: list[str]
    """Empty: none."""


def instruction(name: str) -> str:
    """The arguments of the last instruction of this name, its lines joined."""
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    found: list[str] = re.findall(rf"^\s*{name}\s+(.+)$", text, re.MULTILINE)
    return found[-1]


def compose() -> dict[str, dict[str, dict[str, object]]]:
    """The file as it is, variables unfilled."""
    loaded: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return loaded


def example() -> dict[str, str]:
    """The variables of .env.example."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def ours(variables: Mapping[str, str]) -> dict[str, Container]:
    """The containers of our own image, by name, with the variables filled in."""
    found = {}
    for name, described in compose()["services"].items():
        if not str(described["image"]).startswith("geofix:"):
            continue
        environment = described["environment"]
        assert isinstance(environment, dict)
        command = described["command"]
        assert isinstance(command, list)
        found[name] = Container(
            [*image_entrypoint(), *command],
            image_environment() | {k: _filled(str(v), variables) for k, v in environment.items()},
            _healthcheck(described.get("healthcheck")),
        )
    return found


def image_entrypoint() -> list[str]:
    """What both images run."""
    entrypoint: list[str] = json.loads(instruction("ENTRYPOINT"))
    return entrypoint


def image_environment() -> dict[str, str]:
    """ENV of the stage that both images build on."""
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    (base,) = re.findall(r"AS base\n(.+?)\nFROM", text, re.DOTALL)
    (line,) = re.findall(r"^ENV (.+)$", base, re.MULTILINE)
    return dict(pair.split("=", 1) for pair in line.split())


def _healthcheck(described: object) -> list[str]:
    if described is None:
        command: list[str] = json.loads(instruction("HEALTHCHECK").split("CMD", 1)[1])
        return command
    assert isinstance(described, dict)
    if described.get("disable"):
        return []
    kind, *command = described["test"]
    assert kind == "CMD"
    return command


def _filled(value: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: variables[found[1]], value)
