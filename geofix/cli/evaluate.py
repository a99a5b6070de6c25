"""``geofix evaluate``: how good the answers are on photos whose position is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from geofix.errors import GeofixError
from geofix.settings import settings

if TYPE_CHECKING:
    from indexer.evaluation.datasets import Truth
    from indexer.evaluation.report import Report

_OUT = Console(markup=False, emoji=False, highlight=False)
_ERR = Console(markup=False, emoji=False, highlight=False, stderr=True)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_OUTPUT = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command()
@click.option("--photos", required=True, type=_FOLDER, help="Folder of the photos.")
@click.option("--truth", type=_FILE, help="CSV or Parquet: file, lat, lon. Default: EXIF.")
@click.option("--gallery", multiple=True, metavar="NAME", help="Gallery to search.")
@click.option(
    "--leave-one-out",
    is_flag=True,
    help="Search each photo among the others; without --gallery in a gallery made of them.",
)
@click.option(
    "--generators", default="auto", metavar="NAMES", help="auto, none, or any of text,attributes."
)
@click.option(
    "--channel",
    type=click.Choice(["answer", "attributes"]),
    default="answer",
    help="What is measured: whole answers, or what attributes alone tell.",
)
@click.option("--json", "json_file", type=_OUTPUT, help="Write figures and photos as JSON.")
@click.option("--markdown", "markdown_file", type=_OUTPUT, help="Write figures as Markdown.")
def evaluate(
    photos: Path,
    truth: Path | None,
    gallery: tuple[str, ...],
    leave_one_out: bool,
    generators: str,
    channel: str,
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    """Measure answers on labelled photos."""
    from indexer.evaluation.datasets import read_truth

    try:
        labelled = read_truth(photos, truth)
        with _bar(len(labelled.photos)) as progress:
            if channel == "attributes":
                report = _attributes(labelled, progress)
            else:
                names = tuple(name.strip() for name in generators.split(","))
                report = asyncio.run(_answers(labelled, gallery, names, leave_one_out, progress))
    except GeofixError as error:
        raise click.ClickException(str(error)) from error
    if json_file is not None:
        json_file.write_text(report.to_json(), encoding="utf-8")
    if markdown_file is not None:
        markdown_file.write_text(report.to_markdown(), encoding="utf-8")
    for table in report.tables():
        _OUT.print(table)
    for skipped in report.skipped:
        _ERR.print(f"skipped {skipped.key}: {skipped.cause}", style="yellow", soft_wrap=True)


def _attributes(truth: Truth, progress: Callable[[], None]) -> Report:
    from geofix.engine import models
    from geofix.engine.encoder import Encoder
    from indexer.evaluation.attributes import measure_attributes

    chosen = settings()
    encoder = Encoder.load(models.find(chosen.model, chosen.data_dir), chosen.threads)
    return measure_attributes(encoder, truth, progress)


async def _answers(
    truth: Truth,
    gallery: tuple[str, ...],
    generators: tuple[str, ...],
    leave_one_out: bool,
    progress: Callable[[], None],
) -> Report:
    from geofix.engine.locate import Locator
    from geofix.engine.types import LocateOptions
    from indexer.evaluation.answers import OWN_GALLERY, measure_answers, own_gallery

    chosen = settings()
    if leave_one_out and not gallery:
        options = LocateOptions((OWN_GALLERY,), chosen.neighbours, generators, heatmap=False)
        async with own_gallery(chosen, truth) as locator:
            return await measure_answers(
                locator, truth, options, leave_one_out=True, progress=progress
            )
    names = gallery or (chosen.gallery,)
    options = LocateOptions(names, chosen.neighbours, generators, heatmap=False)
    locator = await Locator.open(chosen, role="evaluate")
    try:
        return await measure_answers(
            locator, truth, options, leave_one_out=leave_one_out, progress=progress
        )
    finally:
        await locator.close()


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr, and what moves it by one photo."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_ERR, transient=True) as bar:
        task = bar.add_task("photos", total=total)
        yield lambda: bar.advance(task)
