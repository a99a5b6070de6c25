"""Write openapi/openapi.json: ``python -m service.openapi [FILE]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from geofix.settings import Settings
from service.app import create_app

DEFAULT = Path("openapi/openapi.json")


def document() -> str:
    """The service's OpenAPI document, as it stands in the repository."""
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document(), encoding="utf-8")
