"""Published test sets in the layouts in which they are published.

Their photos are not ours to hand on: the caller names the table and the folder of photos, and for
sets that publish no coordinates a table of those.

| set | table | columns read |
|---|---|---|
| IM2GPS, IM2GPS3k, YFCC4k, YFCC26k | ``im2gps_places365.csv`` … ``yfcc25600_places365.csv`` of Müller-Budack et al. (ECCV 2018) | ``IMG_ID``, ``LAT``, ``LON``, ``AUTHOR`` where there is one |
| GWS15k (Clark et al., CVPR 2023) | ``gws15k.csv`` | ``path``, ``lat``, ``lon`` |
| OSV-5M (Astruc et al., CVPR 2024) | ``test.csv`` | ``id``, ``latitude``, ``longitude``, ``creator_id`` |
| GeoComp (Song et al., 2025) | ``tuxun_combined.csv``, or places taken from it | ``data`` (JSON; ``rounds`` of ``panoId``, ``lat``, ``lng``), or ``panoID``, ``lat``, ``lng`` |
| EarthWhere (Qian et al., 2025) | ``wherestreet/all.csv`` or ``wherecountry_500.csv`` | ``BVID``, ``answer``, ``answer_type``, or ``panoID`` |
"""  # noqa: E501 - a table

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from geofix.engine.photo_file import read_photo_file
from geofix.errors import InvalidSource
from indexer.evaluation.datasets import LabelledPhoto, Skipped, Truth, gathered, position
from indexer.galleries.sources import PHOTO_SUFFIXES

_LONGEST_FIELD = 2**24
"""GeoComp keeps a whole game in one field."""
_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_PAIR = re.compile(rf"^\(?\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)?$")
_VIEWS = ("", "_panoramic")
"""Endings of the file names of panoramas, after their id."""

Row = Mapping[str, str]


class Layout(StrEnum):
    """A published test set."""

    IM2GPS = "im2gps"
    IM2GPS3K = "im2gps3k"
    YFCC4K = "yfcc4k"
    YFCC26K = "yfcc26k"
    GWS15K = "gws15k"
    OSV5M = "osv5m"
    GEOCOMP = "geocomp"
    EARTHWHERE = "earthwhere"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A photo as a table has it."""

    name: str
    lat: float | None
    """None: the set gives no coordinates of it."""
    lon: float | None
    contributor: str = ""


def read_layout(
    layout: Layout, table: Path, photos: Path, coordinates: Path | None = None
) -> Truth:
    """The photos of a published set.

    ``photos`` is searched with its subfolders for the files that ``table`` names. ``coordinates``
    (CSV: ``id``, ``lat``, ``lon``) is asked where the set itself gives none. Skipped are entries
    without file or position. Raises InvalidSource for a table in another layout.
    """
    if not photos.is_dir():
        raise InvalidSource(f"There is no folder {str(photos)!r}.")
    files = PhotoFiles(photos)
    known = _coordinates(coordinates) if coordinates is not None else {}
    entries = _READERS[layout](_rows(table))
    if layout is Layout.GEOCOMP:  # it names millions of places, of which a folder holds a few
        entries = (entry for entry in _once(entries) if files.find(entry.name) is not None)
    return gathered(str(layout), (_label(layout, entry, files, known) for entry in entries))


class PhotoFiles:
    """The photos of a folder by path, name and stem."""

    def __init__(self, folder: Path) -> None:
        self._found: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in PHOTO_SUFFIXES:
                relative = path.relative_to(folder)
                for name in (relative.as_posix(), path.name, path.stem):
                    self._found.setdefault(name, path)

    def find(self, name: str) -> Path | None:
        """The file of a table's name: as it stands, flattened, or without its ending."""
        flat = name.replace("/", "_")
        for candidate in (name, flat, *(flat + view for view in _VIEWS)):
            if candidate in self._found:
                return self._found[candidate]
        return None


def _label(
    layout: Layout, entry: _Entry, files: PhotoFiles, known: Mapping[str, tuple[float, float]]
) -> LabelledPhoto | Skipped:
    key = f"{layout}/{entry.name}"
    lat, lon = known.get(entry.name, (entry.lat, entry.lon))
    if lat is None or lon is None:
        return Skipped(key, "the set gives no coordinates of it; name them in a table")
    at = position(lat, lon)
    if isinstance(at, str):
        return Skipped(key, at)
    path = files.find(entry.name)
    if path is None:
        return Skipped(key, "there is no file of this name in the folder")
    return LabelledPhoto(key, partial(read_photo_file, path), at, entry.contributor)


# --- the tables ---------------------------------------------------------------------------------


def _rows(table: Path) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            for row in reader:
                yield {name: text for name, text in row.items() if isinstance(text, str)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidSource(f"{table.name!r} cannot be read as CSV in UTF-8.") from error


def _places365(rows: Iterable[Row]) -> Iterator[_Entry]:
    """Of these tables one was published with the headings of LAT and LON exchanged."""
    entries = list(_columns(rows, "IMG_ID", "LAT", "LON", "AUTHOR"))
    exchanged = any(e.lat is not None and abs(e.lat) > 90.0 for e in entries) and all(
        e.lon is None or abs(e.lon) <= 90.0 for e in entries
    )
    for e in entries:
        yield _Entry(e.name, e.lon, e.lat, e.contributor) if exchanged else e


def _gws15k(rows: Iterable[Row]) -> Iterator[_Entry]:
    return _columns(rows, "path", "lat", "lon")


def _osv5m(rows: Iterable[Row]) -> Iterator[_Entry]:
    return _columns(rows, "id", "latitude", "longitude", "creator_id")


def _geocomp(rows: Iterable[Row]) -> Iterator[_Entry]:
    for row in rows:
        if "data" not in row:
            yield from _columns([row], "panoID", "lat", "lng")
            continue
        try:
            rounds = json.loads(row["data"])["rounds"]
        except (ValueError, KeyError, TypeError):
            continue  # games that were broken off
        for one in rounds if isinstance(rounds, list) else ():
            if isinstance(one, dict) and isinstance(one.get("panoId"), str):
                yield _Entry(
                    one["panoId"], _degrees(str(one.get("lat"))), _degrees(str(one.get("lng")))
                )


def _earthwhere(rows: Iterable[Row]) -> Iterator[_Entry]:
    """WhereStreet gives coordinates of some of its photos, WhereCountry of none."""
    for row in rows:
        name = row.get("BVID") or row.get("panoID")
        if not name:
            raise _other_layout("BVID or panoID", row)
        pair = _PAIR.match(row.get("answer", "").strip())
        yield _Entry(name, *(map(float, pair.groups()) if pair else (None, None)))


_READERS: Mapping[Layout, Callable[[Iterable[Row]], Iterator[_Entry]]] = {
    Layout.IM2GPS: _places365,
    Layout.IM2GPS3K: _places365,
    Layout.YFCC4K: _places365,
    Layout.YFCC26K: _places365,
    Layout.GWS15K: _gws15k,
    Layout.OSV5M: _osv5m,
    Layout.GEOCOMP: _geocomp,
    Layout.EARTHWHERE: _earthwhere,
}


def _columns(
    rows: Iterable[Row], name: str, lat: str, lon: str, contributor: str = ""
) -> Iterator[_Entry]:
    for row in rows:
        missing = [column for column in (name, lat, lon) if column not in row]
        if missing:
            raise _other_layout(", ".join(missing), row)
        yield _Entry(
            row[name], _degrees(row[lat]), _degrees(row[lon]), row.get(contributor, "").strip()
        )


def _other_layout(missing: str, row: Row) -> InvalidSource:
    return InvalidSource(
        f"The table is not in the layout asked for: it has no column {missing}, but "
        f"{', '.join(row)[:200]}."
    )


def _degrees(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _once(entries: Iterable[_Entry]) -> Iterator[_Entry]:
    """The first entry of each name: many games are played on one panorama."""
    seen: set[str] = set()
    for entry in entries:
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry


def _coordinates(table: Path) -> dict[str, tuple[float, float]]:
    entries = _columns(_rows(table), "id", "lat", "lon")
    return {e.name: (e.lat, e.lon) for e in entries if e.lat is not None and e.lon is not None}
