import io
import json

from rich.console import Console

from indexer.evaluation.datasets import Skipped
from indexer.evaluation.metrics import Interval
from indexer.evaluation.report import Figure, Report

REPORT = Report(
    title="Answers",
    about={"encoder": "lite", "photos": "3 measured, 1 skipped"},
    figures=(
        Figure.of("Acc@25 km", Interval(0.5, 0.25, 0.75), "%"),
        Figure.of("median error", Interval(1234.56, 1000.0, 2000.0), "km"),
        Figure("gain", 0.1186, "bits"),
    ),
    timings=(Figure("latency, median", 41.26, "ms"),),
    skipped=(Skipped("x.jpg", "no such file"),),
    photos=({"photo": "a.jpg", "distance_km": 12.5},),
)


def test_markdown_holds_figures_and_what_they_depend_on_but_no_timings() -> None:
    text = REPORT.to_markdown()
    assert "| Acc@25 km | 50.0 % | 25.0 to 75.0 |" in text
    assert "| median error | 1 235 km | 1 000 to 2 000 |" in text
    assert "| gain | 0.119 bits |  |" in text
    assert "- encoder: lite" in text
    assert "x.jpg: no such file" in text
    assert "latency" not in text


def test_json_holds_everything_unrounded() -> None:
    document = json.loads(REPORT.to_json())
    assert document["figures"][0] == {
        "name": "Acc@25 km",
        "value": 0.5,
        "unit": "%",
        "low": 0.25,
        "high": 0.75,
    }
    assert "timings" not in document
    assert json.loads(REPORT.timings_json())[0]["value"] == 41.26
    assert document["photos"] == [{"photo": "a.jpg", "distance_km": 12.5}]


def test_terminal_shows_every_figure() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100)
    for table in REPORT.tables():
        console.print(table)
    shown = stream.getvalue()
    for text in ("Acc@25 km", "25.0 to 75.0", "1 235 km", "41.3 ms", "lite"):
        assert text in shown
