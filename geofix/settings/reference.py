"""The settings as a page for operators: ``python -m geofix.settings.reference [FILE]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from geofix.settings import Settings
from geofix.settings.access import AccessSettings
from geofix.settings.engine import EngineSettings
from geofix.settings.jobs import JobSettings
from geofix.settings.lmm import LmmSettings
from geofix.settings.qdrant import QdrantSettings
from geofix.settings.service import ServiceSettings

PAGE = Path("docs/settings.md")

_AREAS: dict[str, type[BaseModel]] = {
    "Engine": EngineSettings,
    "Service": ServiceSettings,
    "Access": AccessSettings,
    "Jobs": JobSettings,
    "Language model": LmmSettings,
    "Qdrant server": QdrantSettings,
}
_HEAD = """# Settings

Environment variables, or lines of a file `.env` in the working directory. Nothing has to be set.
This page is written by `python -m geofix.settings.reference`.
"""
_PREFIX = str(Settings.model_config.get("env_prefix", ""))


def page() -> str:
    """The page in Markdown: a table for each area."""
    return "\n".join([_HEAD, *(_table(name, area) for name, area in _AREAS.items())])


def _table(name: str, area: type[BaseModel]) -> str:
    rows = [_row(field, info) for field, info in area.model_fields.items()]
    lines = [f"## {name}", "", area.__doc__ or "", "", "| Variable | Default | |", "|---|---|---|"]
    return "\n".join([*lines, *rows, ""])


def _row(name: str, info: FieldInfo) -> str:
    text = (info.description or "").replace("|", "\\|")
    return f"| `{_PREFIX}{name.upper()}` | {_default(info)} | {text} |"


def _default(info: FieldInfo) -> str:
    """As one would write it in the environment."""
    if info.default_factory is not None:
        return "the user's folder for data"
    if isinstance(info.default, SecretStr):
        return ""
    value = to_jsonable_python(info.default)
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if text not in {"", "null"} else ""


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE).write_text(page(), encoding="utf-8")
