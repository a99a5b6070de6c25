"""The bill of materials that the images carry lists what the lock files pin."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.deploy.containers import DOCKERFILE, ROOT, instruction

TOOLS = ROOT / ".venv-sbom" / "bin"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@pytest.mark.tools
def test_each_image_says_what_is_in_it(tmp_path: Path) -> None:
    """The Dockerfile's own line is run, on copies of the files that its stage copies."""
    assert (TOOLS / "cyclonedx-py").exists(), "`make test-ops` installs cyclonedx-py"
    (line,) = re.findall(r"^RUN (for lock in .*)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    done = subprocess.run(  # noqa: S602 - as the Dockerfile has it
        line,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    text = DOCKERFILE.read_text("utf-8")
    for target, lock in (("cpu", "runtime"), ("gpu", "gpu")):
        (stage,) = re.findall(rf"^FROM base AS {target}\n(.*?)(?:\n\n|\Z)", text, re.M | re.S)
        copied = f"COPY --from=sbom /build/sbom-{lock}.cdx.json /usr/share/doc/geofix/"
        assert copied in stage
        assert f"COPY --from={target}-packages " in stage
        bill = json.loads((tmp_path / f"sbom-{lock}.cdx.json").read_text("utf-8"))
        assert bill["bomFormat"] == "CycloneDX"
        assert bill["metadata"]["component"]["name"] == "geofix"
        pinned = set(_PIN.findall((ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")))
        listed = {(one["name"], one["version"]) for one in bill["components"]}
        assert listed == pinned
        assert len(listed) > 50
        assert all(one["externalReferences"][0]["hashes"] for one in bill["components"])
        assert "torch" not in {name for name, _ in listed}


def test_make_writes_the_same_bill() -> None:
    (made,) = re.findall(
        r"@(for lock in runtime gpu; .*? exit 1; done)",
        (ROOT / "Makefile").read_text("utf-8").replace("\\\n\t\t", ""),
    )
    here = made.replace("$(SBOM)/bin/", "").replace("$$", "$").replace("dist/sbom", "sbom")
    assert f"RUN {here}" in DOCKERFILE.read_text("utf-8")


def test_the_images_say_what_they_are() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    labels = dict(
        re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', instruction("LABEL"))
    )
    assert labels["version"] == version
    assert labels.keys() >= {"title", "description", "licenses", "revision", "created"}
    assert labels["base.name"].removeprefix("docker.io/library/") in DOCKERFILE.read_text("utf-8")
