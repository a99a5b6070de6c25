from __future__ import annotations

from pathlib import Path

from geofix.settings import Settings
from geofix.settings.reference import PAGE, page

_ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_the_settings() -> None:
    committed = (_ROOT / PAGE).read_text("utf-8")
    assert committed == page(), "Run `python -m geofix.settings.reference` and commit the page."


def test_every_setting_stands_on_it_once_and_says_what_it_does() -> None:
    rows = [line.split(" | ", 2) for line in page().splitlines() if line.startswith("| `GEOFIX_")]
    named = [row[0].removeprefix("| `GEOFIX_").removesuffix("`").lower() for row in rows]
    assert sorted(named) == sorted(Settings.model_fields)
    assert all(len(row[2].removesuffix(" |")) > 10 for row in rows)


def test_secrets_are_shown_as_empty() -> None:
    assert "| `GEOFIX_LMM_API_KEY` |  |" in page()
