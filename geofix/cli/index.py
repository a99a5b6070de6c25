"""``geofix index``: build and change galleries of geotagged photos."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from geofix.cli import index_report
from geofix.cli.console import ERR, OUT, progress
from geofix.cli.gallery_targets import Target, target
from geofix.cli.index_canaries import canaries_command
from geofix.cli.index_keeping import (
    delete_command,
    erase_command,
    rebuild_command,
    restore_command,
    snapshot_command,
)
from geofix.cli.index_versions import activate_command, reindex_command, versions_command
from geofix.cli.options import GALLERY, JSON
from geofix.engine.gallery.offers import Offer
from geofix.engine.photo_file import read_photo_file
from geofix.errors import GeofixError
from geofix.settings import settings
from indexer.galleries.any_source import open_any
from indexer.galleries.build import Report
from indexer.galleries.sources import Defaults, Source
from indexer.galleries.vectors import VectorFile, is_vectors

T = TypeVar("T")

_INTERRUPTED = 130

_SOURCE = click.option("--source", default="", help="Where the photos come from.")
_CONTRIBUTOR = click.option("--contributor", default="", help="Whose photos they are.")
_LICENCE = click.option(
    "--licence", "--license", "licence", default="", help="SPDX identifier of their licence."
)


@click.group()
def index() -> None:
    """Build and change galleries of geotagged photos.

    Where a service owns the data directory, the commands go through it.
    """


for _command in (
    *(reindex_command, versions_command, activate_command, erase_command),
    *(snapshot_command, restore_command, rebuild_command, delete_command, canaries_command),
):
    index.add_command(_command)


@index.command("build")
@click.argument("source_text", metavar="SOURCE")
@GALLERY
@_SOURCE
@_CONTRIBUTOR
@_LICENCE
@click.option(
    "--prefix", default="", help="Put before file names to make keys [default: the folder's name]."
)
@click.option("--encoder", default="", help="Model whose vectors a file of vectors holds.")
@JSON
def build_command(
    source_text: str,
    gallery: str | None,
    source: str,
    contributor: str,
    licence: str,
    prefix: str,
    encoder: str,
    as_json: bool,
) -> None:
    """Fill a gallery from SOURCE.

    SOURCE is a folder of photos with EXIF positions, a CSV or Parquet file with the columns file,
    lat and lon (and optionally id, country, source, contributor, licence, captured_at and uri), or
    a folder that holds such an index.csv. It may also be tar or zip shards or a folder of them,
    with a .json for each photo or a table beside them (MP-16, OSV-5M), a prefix of an object store
    (s3://bucket/prefix, gs://, az://), or a Parquet file of vectors (vector, lat, lon).

    Cut off at any moment, the same command goes on where it stopped. Options hold where the source
    says nothing itself.

    Exit status: 0 when the gallery holds photos of the source (the report names those that were
    skipped), 1 when it holds none of them or something failed, 2 for a wrong option, 130 when
    stopped by Ctrl-C.
    """
    defaults = Defaults(source, contributor, licence, prefix)
    command = f"geofix index build {Path(source_text).name}"
    if is_vectors(Path(source_text)):
        _take(VectorFile(Path(source_text), defaults), gallery, as_json, command, encoder)
        return
    if encoder:
        raise click.UsageError(
            "--encoder is for files of vectors; photos are seen by GEOFIX_MODEL."
        )
    _take(open_any(source_text, defaults), gallery, as_json, command)


@index.command("add")
@click.argument(
    "photos",
    nargs=-1,
    required=True,
    metavar="PHOTO...",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@click.option("--lat", type=click.FloatRange(-90, 90), help="Latitude [default: from EXIF].")
@click.option("--lon", type=click.FloatRange(-180, 180), help="Longitude [default: from EXIF].")
@click.option("--key", default="", help="Name of the one PHOTO [default: folder and file name].")
@GALLERY
@_SOURCE
@_CONTRIBUTOR
@_LICENCE
@click.option("--captured-at", default="", metavar="ISO8601", help="When they were taken.")
@JSON
def add_command(
    photos: tuple[Path, ...],
    lat: float | None,
    lon: float | None,
    key: str,
    gallery: str | None,
    source: str,
    contributor: str,
    licence: str,
    captured_at: str,
    as_json: bool,
) -> None:
    """Add each PHOTO, or replace the one of the same key. Exit status as for build."""
    if (lat is None) != (lon is None):
        raise click.UsageError("Give both --lat and --lon, or neither.")
    if key and len(photos) > 1:
        raise click.UsageError("--key names one photo.")

    def offers() -> Iterator[Offer]:
        for path in photos:
            full = path.resolve()
            yield Offer(
                key=key or f"{full.parent.name}/{full.name}",
                read=partial(read_photo_file, full),
                position=None if lat is None or lon is None else (lat, lon),
                source=source,
                contributor=contributor,
                licence=licence,
                captured_at=captured_at,
                uri=full.as_uri(),
            )

    _take(Source(len(photos), offers()), gallery, as_json, "geofix index add")


@index.command("remove")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--contributor", help="Remove all photos of this contributor.")
@GALLERY
@JSON
def remove_command(
    keys: tuple[str, ...], contributor: str | None, gallery: str | None, as_json: bool
) -> None:
    """Remove photos by KEY, or all of a contributor's.

    Exit status: 0 when everything named is gone, 1 when some KEY was not there.
    """
    if bool(keys) == bool(contributor):
        raise click.UsageError("Name the photos by KEY, or give --contributor.")

    async def remove(chosen: Target) -> tuple[int, list[str]]:
        if contributor:
            return await chosen.remove_contributor(contributor), []
        removed = await chosen.remove(keys)
        return len(removed), [key for key in keys if key not in removed]

    count, missing = _on(gallery, "geofix index remove", remove)
    if as_json:
        click.echo(json.dumps({"removed": count, "missing": missing}, ensure_ascii=False))
    else:
        OUT.print(f"{count} removed.")
        for key in missing:
            ERR.print(f"There is no photo {key!r}.")
    if missing:
        raise SystemExit(1)


@index.command("stats")
@GALLERY
@JSON
def stats_command(gallery: str | None, as_json: bool) -> None:
    """Say what a gallery is and holds."""
    described = _on(gallery, "geofix index stats", lambda chosen: chosen.describe())
    if as_json:
        click.echo(described.model_dump_json(indent=2))
        return
    OUT.print(
        f"Gallery {described.name}, version {described.version}: {described.count} photos, "
        f"encoder {described.encoder} ({described.dimension} dimensions)",
        soft_wrap=True,
    )
    for title in ("countries", "sources", "licences", "contributors"):
        OUT.print(index_report.counts(title, described), soft_wrap=True)


@index.command("check")
@GALLERY
@JSON
def check_command(gallery: str | None, as_json: bool) -> None:
    """Name photos that look wrong: copies, placeholders, impossible positions.

    Nothing is changed. Exit status: 0 when nothing was found, 1 when something was.
    """
    findings = _on(gallery, "geofix index check", lambda chosen: chosen.review())
    if as_json:
        document = {"findings": [index_report.found(finding) for finding in findings]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        index_report.print_findings(findings)
        OUT.print(f"{len(findings)} findings." if findings else "Nothing looks wrong.")
    raise SystemExit(bool(findings))


def _take(
    source: Source | VectorFile,
    gallery: str | None,
    as_json: bool,
    command: str,
    encoder: str = "",
) -> None:
    """Take a source into a gallery and report, whatever ends it; exit unless all is well."""
    report, started = Report(), time.monotonic()
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    held: int | None = None
    failure: GeofixError | None = None
    interrupted = False

    async def take(chosen: Target) -> None:
        nonlocal held
        with progress() as bar:
            task = bar.add_task("Indexing", total=source.total)
            if isinstance(source, VectorFile):
                await chosen.fill(source, encoder, report, lambda n: bar.advance(task, n))
            else:
                await chosen.build(source.offers, report, lambda _: bar.advance(task))
        if report.usable:
            held = (await chosen.describe()).count
            report.findings += await chosen.review(began)

    try:
        _on(gallery, command, take)
    except GeofixError as error:
        failure = error
    except KeyboardInterrupt:
        interrupted = True
    if report.counts or failure is None:
        seconds, name = time.monotonic() - started, gallery or settings().gallery
        if as_json:
            document = index_report.document(report, name, held, seconds, interrupted)
            click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        else:
            index_report.print_report(report, name, held, seconds)
    if failure is not None:
        raise failure
    if interrupted:
        ERR.print("Stopped. What is counted is kept; the same command goes on from there.")
        raise SystemExit(_INTERRUPTED)
    if not report.usable:
        raise SystemExit(1)


def _on(gallery: str | None, command: str, work: Callable[[Target], Coroutine[None, None, T]]) -> T:
    async def run() -> T:
        config = settings()
        async with target(config, gallery or config.gallery, command) as chosen:
            return await work(chosen)

    return asyncio.run(run())
