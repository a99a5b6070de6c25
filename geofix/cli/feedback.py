"""``geofix feedback``: what users told of where photos were really taken."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geofix.settings import settings

if TYPE_CHECKING:
    from service.feedback.schemas import Row


@click.group()
def feedback() -> None:
    """Show and export the truths that users told.

    They lie in feedback.jsonl in the data directory; the service may be running meanwhile.
    """


@feedback.command()
def summary() -> None:
    """How good the answers were, against what they promised."""
    rows = _rows()
    off = sorted(row.distance_km for row in rows)
    click.echo(f"{len(rows)} answers with a known truth; the median is {_km(off)} km off.")
    for promised, kept in (
        (50, [row.distance_km <= row.answer.radius_50_km for row in rows]),
        (90, [row.distance_km <= row.answer.radius_90_km for row in rows]),
    ):
        click.echo(f"The {promised} % radius held for {_percent(kept)}.")
    for level in _levels():
        told = [row for row in rows if level in row.answer.within]
        if told:
            within = [row.distance_km <= float(level) for row in told]
            promised_share = sum(row.answer.within[level] for row in told) / len(told)
            click.echo(f"Within {level} km: {_percent(within)}; promised {promised_share:.0%}.")


@feedback.command()
@click.option("-o", "--output", type=click.File("w", encoding="utf-8"), default="-")
@click.option(
    "--photos",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Write photo,lat,lon for the photos in DIR that truths are known of, to calibrate with.",
)
def export(output: io.TextIOBase, photos: Path | None) -> None:
    """Write the truths as CSV: one line an answer, its promise beside it.

    Of photos nothing is kept but their sha256. With --photos, those in a folder are found again
    by it: the CSV is then one that `geofix calibrate` reads.
    """
    rows = _rows()
    lines = [_promise(row) for row in rows] if photos is None else _labelled(photos, rows)
    if not lines:
        raise click.ClickException(f"Of no photo in {str(photos)!r} a truth is known.")
    writer = csv.DictWriter(output, fieldnames=[*lines[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)


def _rows() -> Sequence[Row]:
    from service.feedback import journal

    rows = journal.read(settings().data_dir)
    if not rows:
        raise click.ClickException(
            "No truth was told yet: POST /v1/feedback, or correct an answer on the web page."
        )
    return rows


def _levels() -> list[str]:
    """Distances of which answers tell; one under a precision cap tells of the larger ones only."""
    from geofix.engine.types import LEVELS_KM

    return [f"{km:g}" for km in LEVELS_KM]


def _promise(row: Row) -> Mapping[str, object]:
    return {
        "id": row.truth.id,
        "at": row.at.isoformat(),
        "sha256": row.answer.sha256,
        "lat": row.truth.lat,
        "lon": row.truth.lon,
        "source": _text(row.truth.source),
        "answer_lat": row.answer.lat,
        "answer_lon": row.answer.lon,
        "distance_km": row.distance_km,
        "radius_50_km": row.answer.radius_50_km,
        "radius_90_km": row.answer.radius_90_km,
        **{f"within_{level}_km": row.answer.within.get(level, "") for level in _levels()},
        "abstained": row.answer.abstained,
        "encoder": row.answer.encoder,
        "galleries": " ".join(f"{n}@{version}" for n, version in row.answer.galleries.items()),
        "calibrated": row.answer.calibrated,
    }


def _labelled(folder: Path, rows: Iterable[Row]) -> list[Mapping[str, object]]:
    truths = {row.answer.sha256: row.truth for row in rows}
    found: list[Mapping[str, object]] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            truth = truths.get(hashlib.file_digest(file, "sha256").hexdigest())
        if truth is not None:
            photo = path.relative_to(folder).as_posix()
            found.append({"photo": photo, "lat": truth.lat, "lon": truth.lon})
    return found


def _text(value: str) -> str:
    """A caller's words, so that no spreadsheet takes them for a formula."""
    return f"'{value}" if value[:1] in "=+-@\t\r" and value else value


def _percent(held: Sequence[bool]) -> str:
    return f"{sum(held)} of {len(held)} ({sum(held) / len(held):.0%})"


def _km(ordered: Sequence[float]) -> str:
    return f"{ordered[len(ordered) // 2]:.1f}"
