"""``geofix demo``: a gallery of a folder's photos, and altered copies of them found again."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click
from PIL import Image
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from geofix.cli import engines
from geofix.cli.console import ERR, OUT
from geofix.cli.engines import engine
from geofix.cli.gallery_targets import target
from geofix.cli.rendering import distance, plain
from geofix.engine import image
from geofix.engine.gallery.offers import Offer, Outcome
from geofix.engine.gallery.records import point_id
from geofix.errors import GeofixError, InvalidSource
from geofix.geo.coordinates import Coordinate
from geofix.settings import Settings, settings
from indexer.galleries.build import Report
from indexer.galleries.sources import Defaults, open_source
from service.locate.options import from_strings
from service.locate.schemas import Answer

_GALLERY = "demo"
_DECODED_PIXELS = 2048
_NEIGHBOURS_SHOWN = 2
_FOUND_KM = 1.0
_NAME_LENGTH = 9


@dataclass(frozen=True, slots=True)
class Known:
    """A photo of the folder whose position is known."""

    key: str
    read: Callable[[], bytes]
    """Its bytes, read when they are needed: a folder may hold more than the memory."""
    position: Coordinate


@dataclass(frozen=True, slots=True)
class Found:
    """What an altered copy of a photo was answered with."""

    photo: Known
    altered: str
    answer: Answer

    @property
    def error_km(self) -> float:
        """How far the answer lies from the truth."""
        here = self.answer.position
        return self.photo.position.distance_km(Coordinate(here.lat, here.lon))


@click.command()
@click.option(
    "--photos",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of photos with EXIF positions, or with an index.csv (file, lat, lon).",
)
@click.option(
    "--limit",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="How many of the photos are altered and looked for.",
)
def demo(photos: Path, limit: int) -> None:
    """Build a gallery of a folder, and find altered copies of its photos again.

    The gallery lies in a temporary folder and is removed at the end. The copies are scaled to
    60 %, saved as JPEG of quality 60, cropped by 10 %, or all of that; they are located by their
    neighbours alone.
    """
    with tempfile.TemporaryDirectory(prefix="geofix-demo-") as folder:
        config = settings().model_copy(
            update={"data_dir": Path(folder), "gallery": _GALLERY, "service_url": ""}
        )
        asyncio.run(_demonstrate(photos, limit, config))


async def _demonstrate(photos: Path, limit: int, config: Settings) -> None:
    report = await _build(photos, config)
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items())
    OUT.print(f"A gallery of {photos.name}: {plain(counts)}.\n", soft_wrap=True)
    known = list(_spread(list(_known(photos)), limit))
    found = await _find(known, config)
    OUT.print(_table(found))
    near = sum(one.error_km <= _FOUND_KM for one in found)
    OUT.print(f"\n{near} of {len(found)} altered copies are answered within {_FOUND_KM:g} km.")


async def _build(photos: Path, config: Settings) -> Report:
    """A gallery of every photo in the folder. Raises InvalidSource where none can be used."""
    report = Report()
    source = open_source(photos, Defaults())
    with Progress(console=ERR, transient=True) as bar:
        task = bar.add_task("Indexing", total=source.total)

        def advance(_: Outcome) -> None:
            bar.advance(task)

        async with target(config, _GALLERY, "geofix demo") as gallery:
            await gallery.build(source.offers, report, advance)
    if not report.usable:
        reasons = {outcome.reason for outcome in report.skipped if outcome.reason}
        raise InvalidSource(f"No photo of the folder can be used: {' '.join(sorted(reasons)[:3])}")
    return report


def _known(photos: Path) -> Iterator[Known]:
    """The folder's photos that are whole and have a position."""
    for offer in open_source(photos, Defaults()).offers:
        if isinstance(offer, Offer):
            try:
                data = offer.read()
                image.decode(data, target=1)
                position = Coordinate(*offer.position) if offer.position else None
            except (OSError, GeofixError):
                continue
            position = position or image.read_position(data)
            if position is not None:
                yield Known(offer.key, offer.read, position)


def _spread(known: Sequence[Known], limit: int) -> Iterator[Known]:
    """At most ``limit`` of the photos, evenly spread over all."""
    step = max(1.0, len(known) / limit)
    for index in range(min(limit, len(known))):
        yield known[int(index * step)]


async def _find(known: Sequence[Known], config: Settings) -> list[Found]:
    options = from_strings([("generators", "none"), ("heatmap", "false")])
    found = []
    with Progress(console=ERR, transient=True) as bar:
        task = bar.add_task("Locating altered copies", total=len(known))
        async with engine(config) as asked:
            for photo in known:
                for altered, data in _altered(await asyncio.to_thread(_read, photo)).items():
                    answer = await engines.locate(asked, data, options)
                    found.append(Found(photo, altered, answer))
                bar.advance(task)
    return found


def _read(photo: Known) -> bytes:
    try:
        return photo.read()
    except OSError as error:
        raise InvalidSource(f"{photo.key!r} cannot be read any more: {error.strerror}.") from error


def _altered(data: bytes) -> Mapping[str, bytes]:
    """The altered copies of a photo, by what was done to them."""
    picture = Image.fromarray(image.decode(data, target=_DECODED_PIXELS).pixels)
    return {
        "60 % size": _jpeg(_scaled(picture), 90),
        "quality 60": _jpeg(picture, 60),
        "10 % crop": _jpeg(_cropped(picture), 90),
        "all three": _jpeg(_scaled(_cropped(picture)), 60),
    }


def _scaled(picture: Image.Image) -> Image.Image:
    return picture.resize((max(1, picture.width * 3 // 5), max(1, picture.height * 3 // 5)))


def _cropped(picture: Image.Image) -> Image.Image:
    """Without 5 % at every edge."""
    left, top = picture.width // 20, picture.height // 20
    return picture.crop((left, top, picture.width - left, picture.height - top))


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _table(found: Sequence[Found]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("photo", "copy", "truth"):
        table.add_column(name, no_wrap=True)
    table.add_column("answer", min_width=12)
    table.add_column("error", no_wrap=True, justify="right")
    table.add_column("most similar photos", min_width=16)
    before: Known | None = None
    for one in found:
        truth, place = one.photo.position, one.answer.place
        is_new = one.photo is not before
        table.add_row(
            Text(_short(one.photo.key) if is_new else ""),
            one.altered,
            f"{truth.lat:.2f}, {truth.lon:.2f}" if is_new else "",
            Text(plain(", ".join(name for name in (place.city, place.country) if name))),
            distance(one.error_km),
            Text(_neighbours(one)),
        )
        before = one.photo
    return table


def _neighbours(found: Found) -> str:
    """The best neighbours with their similarity; the photo the copy was made of is *itself*."""
    itself = point_id(_GALLERY, found.photo.key)
    return " · ".join(
        f"{n.similarity:.2f} {'itself' if n.id == itself else _short(n.uri or n.id)}"
        for n in found.answer.evidence.neighbours[:_NEIGHBOURS_SHOWN]
    )


def _short(name: str) -> str:
    stem = plain(PurePosixPath(name).stem)
    return stem if len(stem) <= _NAME_LENGTH else f"{stem[: _NAME_LENGTH - 1]}…"
