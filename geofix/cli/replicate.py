"""``geofix replicate``: make a data directory a copy of a service's."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from geofix.cli.console import OUT
from geofix.engine.gallery import backups
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.durable import replacing
from geofix.engine.gallery.galleries import Galleries
from geofix.errors import InvalidOption, Unavailable
from geofix.remote.client import Service, connect
from geofix.remote.copies import (
    FILE_PATH,
    FOLDERS,
    GALLERY_PATH,
    ORIGINAL_PATH,
    Original,
    OriginalFile,
)
from geofix.remote.engine import KEY_HEADER
from geofix.remote.worker_key import worker_key
from geofix.settings import Settings, settings


@click.command()
def replicate() -> None:
    """Copy what a service answers from into this data directory.

    The models, calibrations and galleries of the service at GEOFIX_SERVICE_URL take the place of
    those that are here. Both must have the same GEOFIX_WORKER_KEY, and GEOFIX_REPLICA must be
    true, so that no original is replaced by mistake. No service may be running here; `geofix
    serve` then answers from the copy, as it is now.
    """
    config = settings()
    if not config.replica:
        raise InvalidOption("Set GEOFIX_REPLICA=true: the galleries that are here are replaced.")
    if not config.service_url:
        raise InvalidOption("Say in GEOFIX_SERVICE_URL which service is to be copied.")
    directory = DataDirectory(config.data_dir)
    directory.acquire("geofix replicate")
    try:
        asyncio.run(_replicate(config, directory))
    finally:
        directory.release()


async def _replicate(config: Settings, directory: DataDirectory) -> None:
    shown = {KEY_HEADER: await asyncio.to_thread(worker_key, config)}
    galleries = Galleries(directory, config)
    try:
        async with connect(config.service_url) as service:
            listed = await service.ask("GET", ORIGINAL_PATH, headers=shown)
            original = Original.model_validate_json(listed.content)
            for file in original.files:
                await _copy_file(service, shown, file, config.data_dir)
            await asyncio.to_thread(_remove_others, config.data_dir, original)
            for name in original.galleries:
                await _copy_gallery(service, shown, galleries, name)
        for name in set(galleries.names()) - set(original.galleries):
            await galleries.delete(name)
    finally:
        await galleries.close()
    OUT.print(
        f"Copied {len(original.galleries)} galleries and {len(original.files)} files of models "
        "and calibrations."
    )


async def _copy_file(
    service: Service, shown: dict[str, str], file: OriginalFile, data_dir: Path
) -> None:
    path = data_dir / file.path
    if ".." in path.parts or not file.path.startswith(tuple(f"{name}/" for name in FOLDERS)):
        raise Unavailable("The service lists files that belong to no copy.")
    if path.exists():
        held = path.stat()
        if (held.st_size, held.st_mtime_ns) == (file.bytes, file.modified_ns):
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as written:
        await _fetch(service, shown, FILE_PATH, written, {"path": file.path})
        os.utime(written, ns=(file.modified_ns, file.modified_ns))


async def _copy_gallery(
    service: Service, shown: dict[str, str], galleries: Galleries, name: str
) -> None:
    snapshot = galleries.directory.path / "replicate.tar"
    try:
        await _fetch(service, shown, GALLERY_PATH.format(name=name), snapshot)
        await backups.restore(galleries, snapshot, replace=True)
    finally:
        snapshot.unlink(missing_ok=True)


async def _fetch(
    service: Service,
    shown: dict[str, str],
    path: str,
    to: Path,
    params: dict[str, str] | None = None,
) -> None:
    async with service.stream("GET", path, params=params, headers=shown) as response:
        with to.open("wb") as out:
            async for part in response.aiter_bytes():
                out.write(part)


def _remove_others(data_dir: Path, original: Original) -> None:
    """Remove models and calibrations that the original has not."""
    kept = {data_dir / file.path for file in original.files}
    for folder in FOLDERS:
        for path in (data_dir / folder).rglob("*"):
            if path.is_file() and path not in kept:
                path.unlink()
