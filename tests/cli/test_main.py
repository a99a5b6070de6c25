from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from click.testing import CliRunner

from geofix.cli.main import main
from geofix.settings import settings


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "geofix.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_comes_at_once_and_names_every_command() -> None:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        result = _run("--help")
        times.append(time.perf_counter() - started)
    assert result.returncode == 0
    for command in main.list_commands(None):  # type: ignore[arg-type] # the table is fixed
        assert command in result.stdout
    assert min(times) <= 0.3


def test_help_loads_no_engine() -> None:
    code = (
        "import sys; from geofix.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pydantic', 'onnxruntime', 'rich', 'fastapi'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    result = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_version_is_the_packages() -> None:
    assert version("geofix") in _run("--version").stdout


def test_every_command_can_be_loaded() -> None:
    runner = CliRunner()
    for command in main.list_commands(None):  # type: ignore[arg-type]
        result = runner.invoke(main, [command, "--help"])
        assert result.exit_code == 0, (command, result.output, result.exception)


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["locat"])
    assert result.exit_code == 2
    assert "locat" in result.output


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GEOFIX_THREADS", "many", "GEOFIX_THREADS: Input should be a valid integer"),
        ("GEOFIX_BUDGET_S", "-1", "GEOFIX_BUDGET_S: Input should be greater than 0"),
        ("GEOFIX_LMM_PROMPTS", "{", "GEOFIX_LMM_PROMPTS: that is not valid JSON"),
    ],
)
def test_a_wrong_setting_is_one_line_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    result = CliRunner().invoke(main, ["models", "list"])
    settings.cache_clear()
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {says}")
    assert result.output.count("\n") == 1
    assert value not in result.output
