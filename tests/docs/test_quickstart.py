"""The quickstart, as it stands in the guide: every snippet is taken from there and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from geofix.engine.gallery.directory import DataDirectory
from service.auth.caller import Scope
from service.auth.keys import KeyRing

pytestmark = [pytest.mark.tools, pytest.mark.timeout(580)]

Serving = Callable[[Mapping[str, str]], AbstractContextManager[subprocess.Popen[bytes]]]
_GUIDE = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"
_FENCE = re.compile(r'^```(\w*)(?: title="([\w.]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """One block of the guide."""

    language: str
    file: str
    text: str


def snippets() -> list[Snippet]:
    """All blocks of the guide, in order."""
    return [Snippet(*found) for found in _FENCE.findall(_GUIDE.read_text("utf-8"))]


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory, serving: Serving) -> Iterator[dict[str, str]]:
    """The environment of somebody with the address of a service and a key, and nothing else."""
    data = tmp_path_factory.mktemp("service") / "data"
    scopes = frozenset({Scope.LOCATE, Scope.GALLERIES})
    key = KeyRing(data / "keys.json").create("reader", scopes)[1]
    environment = {**os.environ, "GEOFIX_DATA_DIR": str(data), "GEOFIX_AUTH": "required"}
    with serving(environment):
        owner = DataDirectory(data).owner()
        assert owner is not None
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        yield {**clean, "GEOFIX": owner.address, "GEOFIX_API_KEY": key}


def test_every_snippet_is_run() -> None:
    """A file that no command names would not be."""
    commands = "\n".join(s.text for s in snippets() if s.language == "sh")
    for snippet in snippets():
        assert snippet.language in {"sh", "python", "ts"}
        if snippet.language != "sh":
            assert f" {snippet.file}\n" in commands


def test_the_guide_works_as_it_says(around: dict[str, str], tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    said: list[str] = []
    for snippet in snippets():
        if snippet.file:
            (tmp_path / snippet.file).write_text(snippet.text, "utf-8")
        else:
            said.append(_run(snippet.text, tmp_path, around))
    ready, answer, stages, added, _, from_python, _, from_typescript = said
    assert json.loads(ready)["status"] == "ready"
    assert json.loads(answer)["position"].keys() == {"lat", "lon"}
    assert stages.count("event: stage") >= 4
    assert stages.count("event: answer") == 1
    assert json.loads(added)["status"] == "added"
    assert re.match(r"48\.8584, 2\.2945: Paris, France\n90 % within \d+ km\n", from_python)
    assert from_typescript == from_python


def _run(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - the guide's own commands
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout
