"""The guide builds without a warning, and what it names is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click

from geofix.cli.main import main
from geofix.settings import Settings

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = sorted((_ROOT / "docs").glob("*.md"))
_OURS = re.compile(r"`GEOFIX_([A-Z0-9_]*[A-Z0-9])[`=]")
_COMMAND = re.compile(r"(?:^|`|\$ )geofix ([a-z]+)", re.MULTILINE)
_ELSEWHERE = {"GEOFIX_TARGET", "GEOFIX_LISTEN"}
"""Of docker-compose.yml."""


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=_ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in _PAGES:
        name = "" if page.stem == "index" else page.stem
        built = (tmp_path / "site" / name / "index.html").read_text("utf-8")
        assert "https://fonts." not in built  # readers' addresses go to nobody else


def test_every_setting_that_a_page_names_is_one() -> None:
    known = {f"GEOFIX_{name.upper()}" for name in Settings.model_fields} | _ELSEWHERE
    for page in _PAGES:
        named = {f"GEOFIX_{name}" for name in _OURS.findall(page.read_text("utf-8"))}
        assert named <= known, page.name


def test_every_command_that_a_page_names_is_one() -> None:
    assert isinstance(main, click.Group)
    commands = {*main.list_commands(click.Context(main))}
    for page in _PAGES:
        assert {*_COMMAND.findall(page.read_text("utf-8"))} <= commands, page.name
