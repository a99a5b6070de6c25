"""The clients, made from the committed document as `make clients` makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TYPESCRIPT = ROOT / "clients" / "typescript"


def run(*command: str | Path, cwd: Path = ROOT, timeout_s: float = 120) -> str:
    """What a command printed; it must end well."""
    done = subprocess.run(  # noqa: S603 - the tests' own commands
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout_s
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_python_client(folder: Path) -> Path:
    """The folder of the Python client; nothing of the document may be left out."""
    run(
        Path(sys.executable).with_name("openapi-python-client"),
        *("generate", "--fail-on-warning", "--meta", "setup"),
        *("--path", ROOT / "openapi" / "openapi.json"),
        *("--config", ROOT / "clients" / "python.yml"),
        *("--output-path", folder),
    )
    return folder
