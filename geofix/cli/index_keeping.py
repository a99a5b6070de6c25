"""``geofix index erase``, ``snapshot``, ``restore``, ``rebuild`` and ``delete``."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import click

from geofix.cli.console import OUT
from geofix.cli.index_versions import by_owner
from geofix.cli.options import GALLERY, JSON
from geofix.engine.gallery import backups, erasing
from geofix.engine.gallery.galleries import Galleries
from geofix.errors import Conflict
from geofix.remote.client import Service
from geofix.settings import settings
from service.galleries.schemas import GalleryList

_AS_JSON = {"Content-Type": "application/json"}


@click.command("erase")
@click.option("--contributor", required=True, help="Whose photos are erased.")
@GALLERY
@JSON
def erase_command(contributor: str, gallery: str | None, as_json: bool) -> None:
    """Erase a contributor, from versions and snapshots too, and print a receipt.

    Exit status: 0 when no file of the gallery holds a byte of theirs any more.
    """
    config = settings()
    name = gallery or config.gallery

    async def here(galleries: Galleries) -> dict[str, object]:
        return asdict(await erasing.erase(galleries, name, contributor))

    async def there(service: Service) -> dict[str, object]:
        asked = json.dumps({"contributor": contributor}).encode()
        path = f"/v1/galleries/{name}/erase"
        response = await service.ask("POST", path, body=asked, headers=_AS_JSON)
        receipt: dict[str, object] = response.json()
        return receipt

    receipt = asyncio.run(by_owner(config, "geofix index erase", here, there))
    if as_json:
        click.echo(json.dumps(receipt, ensure_ascii=False, indent=2))
        return
    for part, value in receipt.items():
        OUT.print(f"{part}: {value}", soft_wrap=True)


@click.command("snapshot")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@GALLERY
def snapshot_command(file: Path, gallery: str | None) -> None:
    """Write a gallery's version in use to FILE, a tar from which it can be restored."""
    config = settings()
    name = gallery or config.gallery

    async def here(galleries: Galleries) -> None:
        await backups.snapshot(galleries, name, file)

    async def there(service: Service) -> None:
        await fetch_snapshot(service, name, file)

    asyncio.run(by_owner(config, "geofix index snapshot", here, there))
    OUT.print(f"Gallery {name} is in {file} ({file.stat().st_size} bytes).", soft_wrap=True)


async def fetch_snapshot(service: Service, name: str, to: Path) -> None:
    """Have the service take a snapshot, fetch it to the file ``to``, and remove it there."""
    path = f"/v1/galleries/{name}/snapshots"
    taken = (await service.ask("POST", path)).json()["name"]
    written = to.with_name(f"{to.name}.writing")
    async with service.stream("GET", f"{path}/{taken}") as response:
        with written.open("wb") as out:
            async for part in response.aiter_bytes():
                out.write(part)
    written.replace(to)
    await service.ask("DELETE", f"{path}/{taken}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--replace", is_flag=True, help="Remove a gallery of that name first.")
def restore_command(file: Path, replace: bool) -> None:
    """Make a gallery from a snapshot's FILE, under the name it had. No service may be running."""

    async def here(galleries: Galleries) -> str:
        return await backups.restore(galleries, file, replace=replace)

    async def there(_: Service) -> str:
        raise Conflict(
            "A service owns the data directory. Stop it, or restore one of its own snapshots by "
            "POST /v1/galleries/{name}/restore."
        )

    name = asyncio.run(by_owner(settings(), "geofix index restore", here, there))
    OUT.print(f"Gallery {name} is as it was.")


@click.command("rebuild")
@GALLERY
@click.option("--all", "every", is_flag=True, help="Every gallery, one after the other.")
def rebuild_command(gallery: str | None, every: bool) -> None:
    """Make a gallery's index anew from its manifest and log, even where it is damaged."""
    config = settings()
    if gallery and every:
        raise click.UsageError("Give --gallery or --all.")

    async def here(galleries: Galleries) -> dict[str, int]:
        names = galleries.names() if every else [gallery or config.gallery]
        return {name: await backups.rebuild(galleries, name) for name in names}

    async def there(service: Service) -> dict[str, int]:
        names = [gallery or config.gallery]
        if every:
            listed = await service.ask("GET", "/v1/galleries")
            names = [one.name for one in GalleryList.model_validate_json(listed.content).galleries]
        counts = {}
        for name in names:
            response = await service.ask("POST", f"/v1/galleries/{name}/rebuild")
            counts[name] = int(response.json()["count"])
        return counts

    for name, count in asyncio.run(by_owner(config, "geofix index rebuild", here, there)).items():
        OUT.print(f"Gallery {name}: {count} photos are indexed anew.")


@click.command("delete")
@GALLERY
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_command(gallery: str | None, yes: bool) -> None:
    """Remove a gallery with all its photos and versions; snapshots of it are kept."""
    config = settings()
    name = gallery or config.gallery
    if not yes:
        click.confirm(f"Remove gallery {name!r} for good?", abort=True)

    async def here(galleries: Galleries) -> None:
        await galleries.delete(name)

    async def there(service: Service) -> None:
        await service.ask("DELETE", f"/v1/galleries/{name}")

    asyncio.run(by_owner(config, "geofix index delete", here, there))
    OUT.print(f"Gallery {name} is removed.")
