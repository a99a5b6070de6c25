from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from geofix.cli.rendering import distance, empty_galleries, explanation, percent, summary
from service.locate.schemas import Answer

Answering = Callable[..., Answer]


def _shown(renderable: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False)
    console.print(renderable)
    return out.getvalue()


def test_a_person_reads_where_and_how_sure(answering: Answering) -> None:
    shown = _shown(summary("holiday.jpg", answering(48.85, 2.35)))
    for words in (
        "holiday.jpg",
        "Answer      Île-de-France, France",
        "48.85000, 2.35000",
        "50 % within 60 km, 90 % within 300 km",
        "street 1 km: < 1 %",
        "country 750 km: 93 %",
        "continent 2 500 km: > 99 %",
        "France 80 %",
        "12 similar photos, the best at 0.90",
        "lmm (timeout)",
        "first estimate",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("radius_km", "named"),
    [
        (100.0, "Paris, Île-de-France, France"),
        (500.0, "Answer      Île-de-France, France"),
        (5000.0, "Answer      France"),
        (20_000.0, "nowhere in particular"),
    ],
)
def test_the_place_is_named_no_more_finely_than_the_radius(
    answering: Answering, radius_km: float, named: str
) -> None:
    assert named in _shown(summary("x.jpg", answering(48.85, 2.35, radius_km=radius_km)))


def test_an_abstention_is_said_plainly(answering: Answering) -> None:
    shown = _shown(summary("x.jpg", answering(48.85, 2.35, abstains=True)))
    assert "Can't tell" in shown
    assert "The candidates disagree." in shown
    assert "Best guess" in shown
    assert "Answer " not in shown


def test_the_explanation_shows_all_evidence(answering: Answering) -> None:
    shown = _shown(explanation(answering(48.85, 2.35)), width=160)
    for words in (
        "Photos that look alike",
        "0.900",
        "MOCKBA",
        "not used: looks like Cyrillic",
        "city",
        "Clusters of candidates",
        "encode 40 ms",
        "default version 1 (71 photos)",
    ):
        assert words in shown


def test_what_a_photo_says_does_not_drive_the_terminal(answering: Answering) -> None:
    answer = answering(48.85, 2.35)
    shown = _shown(summary("evil\x1b[2J.jpg", answer)) + _shown(explanation(answer), width=300)
    assert "\x1b" not in shown
    assert "[bold]" in shown
    assert "/srv/" not in shown


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal(answering: Answering, width: int) -> None:
    answer = answering(48.85, 2.35)
    for renderable in (summary("x.jpg", answer), explanation(answer)):
        assert all(len(line) <= width for line in _shown(renderable, width).splitlines())


def test_an_empty_gallery_names_the_command_that_fills_it(answering: Answering) -> None:
    warning = empty_galleries(answering(0.0, 0.0, photos=0))
    assert warning is not None
    assert "geofix index build FOLDER" in warning
    assert empty_galleries(answering(0.0, 0.0)) is None


def test_numbers_are_said_as_people_say_them() -> None:
    assert [distance(km) for km in (0.25, 3.14, 41.4, 12345.0)] == [
        "250 m", "3.1 km", "41 km", "12 345 km",
    ]  # fmt: skip
    assert [percent(p) for p in (0.001, 0.014, 0.5, 0.994, 0.999)] == [
        "< 1 %", "1 %", "50 %", "99 %", "> 99 %",
    ]  # fmt: skip
