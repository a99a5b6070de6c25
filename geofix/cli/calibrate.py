"""``geofix calibrate``: make the answers' figures hold, on photos whose position is known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geofix.cli.console import ERR, OUT, progress
from geofix.cli.options import GALLERIES
from geofix.errors import DataDirectoryBusy, InvalidOption
from geofix.settings import Settings, settings

if TYPE_CHECKING:
    from geofix.engine.choosing.calibrations import Fitted
    from indexer.evaluation.datasets import Skipped, Truth

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_LONGEST_NAME = 100
_LISTED = 20
_PATIENCE_S = 600.0
"""What generators that work here may take: a busy machine must not change the figures."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be calibrated, and on what."""

    truth: Truth
    galleries: tuple[str, ...]
    generators: tuple[str, ...]
    keep_related: bool
    name: str


@click.command()
@click.option("--photos", type=_FOLDER, help="Folder of the photos.")
@click.option(
    "--truth", type=_FILE, help="CSV or Parquet: photo, lat, lon[, contributor]. Default: EXIF."
)
@GALLERIES
@click.option("--name", metavar="SET", help="What answers call the set [default: the folder].")
@click.option(
    "--generators",
    default="auto",
    metavar="NAMES",
    help="auto, none, or any of text,attributes,lmm: as requests will have them.",
)
@click.option(
    "--keep-related",
    is_flag=True,
    help="Leave out only a photo's own file, not near-duplicates and its contributor's photos.",
)
@click.option("--reset", is_flag=True, help="Forget the calibration of this encoder and gallery.")
def calibrate(
    photos: Path | None,
    truth: Path | None,
    gallery: tuple[str, ...],
    name: str | None,
    generators: str,
    keep_related: bool,
    reset: bool,
) -> None:
    """Calibrate answers on at least 200 labelled photos.

    Every photo is located with its own file, near-duplicates and its contributor's photos left out
    of the galleries. Radii, probabilities and abstention are then fitted to hold for such photos,
    for the present encoder and galleries; with an aligned encoder the weights of candidates, too,
    if that helps photos they have not seen. The answers then name the set, its size and the date.
    A service reads it when it starts.

    A gallery of less than half or more than twice as many photos as now needs another calibration.

    Exit status: 0 when calibrated, 1 when something failed, 2 for a wrong option or too few photos.
    """
    chosen = settings()
    searched = tuple(dict.fromkeys(gallery)) or (chosen.gallery,)
    try:
        if reset:
            if photos or truth or name:
                raise click.UsageError("--reset goes with --gallery alone.")
            _reset(chosen, searched)
            return
        if photos is None:
            raise click.UsageError("Say where the labelled photos are: --photos DIR.")
        labelled = _labelled(photos, truth)
        wanted = tuple(part.strip() for part in generators.split(","))
        called = _set_name(name or photos.resolve().name)
        wish = _Wish(labelled, searched, wanted, keep_related, called)
        fitted, skipped = asyncio.run(_calibrate(chosen, wish))
    except DataDirectoryBusy as error:
        again = "Calibrate while it is stopped; it reads the calibration when it starts."
        raise click.ClickException(f"{error} {again}") from error
    _report(fitted, skipped)


def _labelled(photos: Path, truth: Path | None) -> Truth:
    from indexer.evaluation.datasets import read_truth

    missing = [name for name in ("scipy", "sklearn") if find_spec(name) is None]
    if missing:
        raise click.ClickException("Fitting needs more packages: pip install 'geofix[calibrate]'")
    labelled = read_truth(photos, truth)
    _require_enough(len(labelled.photos))
    return labelled


def _require_enough(photos: int) -> None:
    from indexer.evaluation.calibrate import require_enough

    try:
        require_enough(photos)
    except InvalidOption as error:
        raise click.UsageError(str(error)) from error


def _set_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise click.UsageError(f"--name takes 1 to {_LONGEST_NAME} printable characters.")
    return name


async def _calibrate(chosen: Settings, wish: _Wish) -> tuple[Fitted, tuple[Skipped, ...]]:
    from geofix.engine.choosing import calibrations
    from geofix.engine.choosing.calibrations import Fitted
    from geofix.engine.locate import Locator
    from geofix.engine.types import Calibration, LocateOptions
    from indexer.evaluation.examples import examine
    from indexer.evaluation.independence import LeaveOut
    from indexer.evaluation.refit import refit

    patience = ("text_budget_s", "attributes_budget_s", "search_budget_s", "budget_s")
    patient = chosen.model_copy(update=dict.fromkeys(patience, _PATIENCE_S))
    options = LocateOptions(wish.galleries, chosen.neighbours, wish.generators, heatmap=False)
    locator = await Locator.open(patient, role="calibrate")
    try:
        await locator.check(options)
        with progress() as bar:
            task = bar.add_task("photos", total=len(wish.truth.photos))
            leave_out = LeaveOut.ITSELF if wish.keep_related else LeaveOut.RELATED
            examined = await examine(
                locator, wish.truth, options, leave_out, lambda: bar.advance(task)
            )
        _require_enough(len(examined.examples))
        fitted_on = Calibration(
            wish.name, len(examined.examples), datetime.now(UTC).date().isoformat()
        )
        with ERR.status("fitting"):
            figures = await asyncio.to_thread(refit, examined.examples, fitted_on)
        fitted = Fitted(
            encoder=locator.encoder.name,
            galleries={info.name: info.count for info in examined.galleries},
            figures=figures,
            bridge=examined.bridge,
        )
        calibrations.save(fitted, chosen.data_dir)
    finally:
        await locator.close()
    return fitted, examined.skipped


def _reset(chosen: Settings, galleries: tuple[str, ...]) -> None:
    from geofix.engine.choosing import calibrations
    from geofix.engine.gallery.directory import DataDirectory

    what = f"encoder {chosen.model} with {_galleries(galleries)}"
    directory = DataDirectory(chosen.data_dir)
    directory.acquire("geofix calibrate --reset")
    with directory:
        if not calibrations.remove(chosen.data_dir, chosen.model, galleries):
            raise click.ClickException(f"There is no calibration of {what}.")
    OUT.print(f"Forgotten: the calibration of {what}.", soft_wrap=True)


def _report(fitted: Fitted, skipped: tuple[Skipped, ...]) -> None:
    on = fitted.figures.fitted_on
    OUT.print(
        f"Calibrated on {on.photos} photos of {on.dataset}: encoder {fitted.encoder} with "
        f"{_galleries(tuple(fitted.galleries))} ({sum(fitted.galleries.values())} photos).",
        soft_wrap=True,
    )
    OUT.print("Radii, probabilities and abstention now hold for photos such as these.")
    for one in skipped[:_LISTED]:
        ERR.print(f"skipped {one.key}: {one.cause}", style="yellow", soft_wrap=True)
    if (more := len(skipped) - _LISTED) > 0:
        ERR.print(f"… and {more} more", style="yellow")


def _galleries(names: tuple[str, ...]) -> str:
    return f"{'gallery' if len(names) == 1 else 'galleries'} {', '.join(names)}"
