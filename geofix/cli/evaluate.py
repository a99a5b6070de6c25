"""``geofix evaluate``: how good the answers are on photos whose position is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geofix.cli.console import ERR, OUT, progress
from geofix.cli.options import GALLERIES
from geofix.engine.types import Rule
from geofix.settings import Settings, settings

if TYPE_CHECKING:
    from geofix.engine.locate import Locator
    from indexer.evaluation.datasets import Skipped, Truth
    from indexer.evaluation.independence import LeaveOut
    from indexer.evaluation.report import Report

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_OUTPUT = click.Path(path_type=Path, dir_okay=False, writable=True)
_LAYOUTS = ("im2gps", "im2gps3k", "yfcc4k", "yfcc26k", "gws15k", "osv5m", "geocomp", "earthwhere")
_PATIENCE_S = 600.0
"""What generators that work here may take: a busy machine must not change the figures."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be measured, and how."""

    truth: Truth
    galleries: tuple[str, ...]
    generators: tuple[str, ...]
    rule: Rule
    leave_out: LeaveOut
    own_gallery: bool
    """Whether the photos are searched among themselves."""
    out: Path | None


@click.command()
@click.option(
    "--photos", required=True, multiple=True, type=_FOLDER, help="Folder of photos; repeatable."
)
@click.option("--truth", type=_FILE, help="CSV or Parquet: file, lat, lon. Default: EXIF.")
@click.option("--layout", type=click.Choice(_LAYOUTS), help="Published set that --truth is of.")
@click.option("--coordinates", type=_FILE, help="CSV: id, lat, lon, for sets without any.")
@GALLERIES
@click.option(
    "--leave-one-out",
    is_flag=True,
    help="Search each photo among the others; without --gallery in a gallery made of them.",
)
@click.option(
    "--exclude-related/--keep-related",
    default=None,
    help="Leave out the same contributor's photos and near-duplicates. On for published sets.",
)
@click.option(
    "--rule",
    type=click.Choice([rule.value for rule in Rule]),
    default="geofix",
    help="How positions are chosen.",
)
@click.option(
    "--generators",
    default="auto",
    metavar="NAMES",
    help="auto, none, or any of text,attributes,lmm.",
)
@click.option(
    "--channel",
    type=click.Choice(["answer", "attributes"]),
    default="answer",
    help="What is measured: whole answers, or what attributes alone tell.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, writable=True),
    help="Write report, figures, timings and plots there; a killed run is gone on with.",
)
@click.option("--json", "json_file", type=_OUTPUT, help="Write figures and photos as JSON.")
@click.option("--markdown", "markdown_file", type=_OUTPUT, help="Write figures as Markdown.")
def evaluate(
    photos: tuple[Path, ...],
    truth: Path | None,
    layout: str | None,
    coordinates: Path | None,
    gallery: tuple[str, ...],
    leave_one_out: bool,
    exclude_related: bool | None,
    rule: str,
    generators: str,
    channel: str,
    out: Path | None,
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    """Measure answers on labelled photos."""
    from indexer.evaluation.independence import LeaveOut
    from indexer.evaluation.out import write

    related = layout is not None if exclude_related is None else exclude_related
    itself = LeaveOut.ITSELF if leave_one_out else LeaveOut.NOTHING
    labelled = _truth(photos, truth, layout, coordinates)
    if channel == "attributes":
        with _bar() as begin:
            report = _attributes(labelled, begin("photos", len(labelled.photos)))
    else:
        names = tuple(name.strip() for name in generators.split(","))
        leave_out = LeaveOut.RELATED if related else itself
        own = leave_one_out and not gallery
        wish = _Wish(labelled, gallery, names, Rule(rule), leave_out, own, out)
        report = asyncio.run(_answers(wish))
    if out is not None and not write(report, out):
        ERR.print("No plots: install geofix[evaluate] for them.", style="yellow")
    if json_file is not None:
        json_file.write_text(report.to_json(), encoding="utf-8")
    if markdown_file is not None:
        markdown_file.write_text(report.to_markdown(), encoding="utf-8")
    for table in report.tables():
        OUT.print(table)
    _tell_skipped(report.skipped)


def _truth(
    photos: tuple[Path, ...], truth: Path | None, layout: str | None, coordinates: Path | None
) -> Truth:
    from indexer.evaluation.datasets import read_truth, together
    from indexer.evaluation.layouts import Layout, read_layout

    if truth is not None and len(photos) > 1:
        raise click.UsageError("--truth is of one folder: give one --photos with it.")
    if layout is None:
        if coordinates is not None:
            raise click.UsageError("--coordinates goes with --layout.")
        return together([read_truth(folder, truth) for folder in photos])
    if truth is None:
        raise click.UsageError("--layout needs --truth, the published table.")
    return read_layout(Layout(layout), truth, photos[0], coordinates)


def _attributes(truth: Truth, progress: Callable[[], None]) -> Report:
    from geofix.engine import models
    from geofix.engine.encoder import Encoder
    from indexer.evaluation.attributes import measure_attributes

    chosen = settings()
    encoder = Encoder.load(models.find(chosen.model, chosen.data_dir), chosen.threads)
    return measure_attributes(encoder, truth, progress)


async def _answers(wish: _Wish) -> Report:
    from geofix.engine.types import LocateOptions
    from indexer.evaluation.answers import measure_answers
    from indexer.evaluation.out import WORK
    from indexer.evaluation.own_gallery import OWN_GALLERY

    chosen = settings()
    patient = {"text_budget_s": _PATIENCE_S, "attributes_budget_s": _PATIENCE_S}
    chosen = chosen.model_copy(update={**patient, "budget_s": _PATIENCE_S})
    searched = (OWN_GALLERY,) if wish.own_gallery else wish.galleries or (chosen.gallery,)
    options = LocateOptions(
        searched, chosen.neighbours, wish.generators, heatmap=False, rule=wish.rule
    )
    with _bar() as begin:
        async with _engine(chosen, wish, begin) as locator:
            await locator.check(options)
            return await measure_answers(
                locator,
                wish.truth,
                options,
                leave_out=wish.leave_out,
                journal=wish.out / WORK / "answers.jsonl" if wish.out else None,
                progress=begin("photos", len(wish.truth.photos)),
            )


@asynccontextmanager
async def _engine(
    chosen: Settings, wish: _Wish, begin: Callable[[str, int], Callable[[], None]]
) -> AsyncIterator[Locator]:
    from geofix.engine.locate import Locator
    from indexer.evaluation.out import WORK
    from indexer.evaluation.own_gallery import own_gallery

    if wish.own_gallery:
        folder = wish.out / WORK / "gallery" if wish.out else None
        filling = begin("gallery", len(wish.truth.photos))
        async with own_gallery(chosen, wish.truth, folder, filling) as (locator, left):
            _tell_skipped(left, "not in the gallery:")
            yield locator
        return
    locator = await Locator.open(chosen, role="evaluate")
    try:
        yield locator
    finally:
        await locator.close()


def _tell_skipped(skipped: tuple[Skipped, ...], what: str = "skipped") -> None:
    for one in skipped:
        ERR.print(f"{what} {one.key}: {one.cause}", style="yellow", soft_wrap=True)


@contextmanager
def _bar() -> Iterator[Callable[[str, int], Callable[[], None]]]:
    """Progress bars on stderr: begins one, and returns what moves it by one photo."""
    with progress() as bar:

        def begin(what: str, total: int) -> Callable[[], None]:
            task = bar.add_task(what, total=total)
            return lambda: bar.advance(task)

        yield begin
