"""``geofix locate``: photos and folders in, a table, a JSON document or a map out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from geofix.cli import engines
from geofix.cli.console import ERR, OUT
from geofix.cli.engines import engine
from geofix.cli.options import GALLERIES, JSON
from geofix.cli.photo_files import photos_below
from geofix.cli.rendering import empty_galleries, explanation, plain, summary
from geofix.engine.photo_file import read_photo_file
from geofix.errors import EmptyPhoto, GeofixError, NotFound, UnreadablePhoto
from geofix.remote.client import RefusedError
from geofix.remote.engine import Engine
from geofix.settings import settings
from service.locate.options import Options, from_strings
from service.locate.schemas import Answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: an answer, or the error in its place."""

    file: str
    answer: Answer | None = None
    error: GeofixError | None = None

    def document(self) -> dict[str, object]:
        """As JSON: the file's name with the answer, or with a problem."""
        if self.answer is not None:
            return {"file": self.file, **self.answer.model_dump(mode="json")}
        return {"file": self.file, "problem": _problem(self.error)}


@click.command()
@click.argument(
    "photos", nargs=-1, required=True, metavar="PHOTO...", type=click.Path(path_type=Path)
)
@GALLERIES
@JSON
@click.option(
    "--map",
    "map_file",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write a map that opens without a network.",
)
@click.option("--explain", is_flag=True, help="Show the evidence and the time it took.")
@click.option("--country", multiple=True, metavar="CODE", help="Only in these countries (FR,DE).")
@click.option("--bbox", metavar="W,S,E,N", help="Only in this box, in degrees.")
@click.option("--polygon", metavar="LAT,LON;…", help="Only in this polygon.")
@click.option("--radius", metavar="LAT,LON,KM", help="Only in this circle.")
@click.option("--generators", metavar="NAMES", help="auto, none, or any of text,attributes,lmm.")
@click.option("--rule", metavar="NAME", help="geofix, or for comparison g3, g3-clean or geoclip.")
@click.option("--neighbours", metavar="N", help="How many similar photos are looked up.")
@click.option("--exclude", multiple=True, metavar="ID", help="Gallery photo not to be used.")
@click.option(
    "--exclude-contributor", multiple=True, metavar="NAME", help="Contributor not to be used."
)
def locate(
    photos: tuple[Path, ...],
    as_json: bool,
    map_file: Path | None,
    explain: bool,
    **given: str | tuple[str, ...] | None,
) -> None:
    """Say where each PHOTO was taken. A folder stands for all photos in it.

    Exit status: 0 when every photo has an answer (which may be that it cannot tell), 1 when a
    file could not be used, 2 for a wrong option.
    """
    options = _options(given)
    if map_file is not None and not map_file.parent.is_dir():
        raise click.UsageError(f"There is no folder {plain(str(map_file.parent))!r} for the map.")
    files = list(_files(photos))
    outcomes = asyncio.run(_run(files, options, None if as_json else explain))
    if as_json:
        one = len(photos) == 1 and not photos[0].is_dir()
        documents = [outcome.document() for outcome in outcomes]
        text = json.dumps(documents[0] if one else documents, ensure_ascii=False, indent=2)
        click.echo(text)
    if map_file is not None:
        _write_map(map_file, outcomes)
    if any(outcome.answer is None for outcome in outcomes):
        raise SystemExit(1)


def _options(given: dict[str, str | tuple[str, ...] | None]) -> Options:
    """The engine's options; a wrong one is a usage error."""
    pairs = [
        (name, value)
        for name, values in given.items()
        if values is not None
        for value in (values if isinstance(values, tuple) else (values,))
    ]
    try:
        return from_strings(pairs)
    except GeofixError as error:
        raise click.UsageError(str(error)) from error


def _files(photos: Sequence[Path]) -> Iterator[Path]:
    """The files named, and the photos in the folders named, by path."""
    for path in photos:
        if path.is_dir():
            yield from photos_below(path)
        else:
            yield path


async def _run(files: Sequence[Path], options: Options, explain: bool | None) -> list[Outcome]:
    """Locate every file, telling the person of each as it is done (unless ``explain`` is None)."""
    outcomes: list[Outcome] = []
    async with engine(settings()) as asked:
        for file in files:
            outcome = await _locate(asked, file, options)
            _tell(outcome, explain, is_first=not any(o.answer for o in outcomes))
            outcomes.append(outcome)
    return outcomes


async def _locate(asked: Engine, file: Path, options: Options) -> Outcome:
    try:
        data = await asyncio.to_thread(_read, file)
        return Outcome(str(file), answer=await engines.locate(asked, data, options))
    except GeofixError as error:
        return Outcome(str(file), error=error)


def _read(file: Path) -> bytes:
    try:
        data = read_photo_file(file)
    except FileNotFoundError:
        raise NotFound("There is no such file.") from None
    except OSError as error:
        raise UnreadablePhoto(f"The file cannot be read: {error.strerror}.") from error
    if not data:
        raise EmptyPhoto("The file is empty.")
    return data


def _tell(outcome: Outcome, explain: bool | None, *, is_first: bool) -> None:
    if outcome.error is not None:
        ERR.print(f"{plain(outcome.file)}: {outcome.error}", style="red", soft_wrap=True)
        return
    assert outcome.answer is not None  # noqa: S101 - one of the two is set
    warning = empty_galleries(outcome.answer) if is_first else None
    if warning:
        (ERR if explain is None else OUT).print(warning + "\n", style="yellow", soft_wrap=True)
    if explain is not None:
        OUT.print(summary(outcome.file, outcome.answer))
    if explain:
        OUT.print(explanation(outcome.answer))


def _write_map(map_file: Path, outcomes: Sequence[Outcome]) -> None:
    from geofix.cli.map import page

    answered = [(Path(o.file).name, o.answer) for o in outcomes if o.answer is not None]
    if not answered:
        return
    try:
        map_file.write_text(page(answered), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"The map cannot be written to {plain(str(map_file))}: {error.strerror}."
        ) from error
    ERR.print(f"The map is in {plain(str(map_file))}", soft_wrap=True)


def _problem(error: GeofixError | None) -> dict[str, object]:
    if isinstance(error, RefusedError):
        return error.problem
    assert error is not None  # noqa: S101 - an outcome has an answer or an error
    return {
        "type": error.problem_type,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
    }
