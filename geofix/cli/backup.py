"""``geofix backup``: a whole data directory in one file, and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from geofix.cli.backup_file import Backup, copy_files, put_files, require_empty
from geofix.cli.index_keeping import fetch_snapshot
from geofix.cli.index_versions import by_owner
from geofix.engine.gallery import backups
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.sealed import SealedWriter
from geofix.errors import Conflict, NotFound
from geofix.remote.client import Service
from geofix.settings import settings

_OUT = Console(highlight=False)


@click.group()
def backup() -> None:
    """Write a whole data directory to one file, and make it again from that."""


@backup.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def create(file: Path) -> None:
    """Write galleries, keys, audit, truths, calibrations, models and jobs to FILE.

    A service may run meanwhile. FILE holds secrets (the audit's key and the workers'), so only its
    owner may read it.
    """
    config = settings()
    directory = DataDirectory(config.data_dir)
    if not directory.is_used:
        raise NotFound("There is no data here. Run this where GEOFIX_DATA_DIR is the service's.")
    names = directory.names()
    with TemporaryDirectory(dir=file.absolute().parent) as folder:
        taken = {name: Path(folder) / f"{name}.tar" for name in names}

        async def here(galleries: Galleries) -> None:
            for name, snapshot in taken.items():
                await backups.snapshot(galleries, name, snapshot)

        async def there(service: Service) -> None:
            for name, snapshot in taken.items():
                await fetch_snapshot(service, name, snapshot)

        asyncio.run(by_owner(config, "geofix backup create", here, there))
        with SealedWriter(file) as writer:
            files = copy_files(writer, config)
            for name, snapshot in taken.items():
                writer.add(f"galleries/{name}.tar", snapshot)
    _OUT.print(
        f"{len(names)} galleries and {files} files are in {file} ({file.stat().st_size} bytes).",
        soft_wrap=True,
    )


@backup.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> None:
    """Make the data directory, which must be empty, from FILE. No service may be running.

    The indexes of the galleries are built from their manifests, which takes a while.
    """
    config = settings()

    async def here(galleries: Galleries) -> list[str]:
        require_empty(config)
        with TemporaryDirectory(dir=config.data_dir) as folder, Backup(file) as held:
            await asyncio.to_thread(put_files, held, config)
            restored = []
            for name in held.galleries:
                snapshot = Path(folder) / f"{name}.tar"
                await asyncio.to_thread(held.extract_gallery, name, snapshot)
                restored.append(await backups.restore(galleries, snapshot))
                snapshot.unlink()
        return restored

    async def there(_: Service) -> list[str]:
        raise Conflict("A service owns the data directory. Stop it before restoring a backup.")

    names = asyncio.run(by_owner(config, "geofix backup restore", here, there))
    _OUT.print(f"The data directory is as it was; galleries: {', '.join(names) or 'none'}.")
