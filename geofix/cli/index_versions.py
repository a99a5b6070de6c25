"""``geofix index reindex``, ``versions`` and ``activate``: a gallery's versions."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from typing import TypeVar

import click

from geofix.cli.console import OUT, progress
from geofix.cli.options import GALLERY, JSON
from geofix.engine.gallery import versions
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries, known_versions
from geofix.engine.gallery.port import Quantization
from geofix.engine.gallery.versions import VersionCard
from geofix.remote.client import Service, address, connect
from geofix.settings import Settings, settings
from service.galleries.versions import Version

T = TypeVar("T")

_NICE = 10


@click.command("reindex")
@GALLERY
@click.option("--model", default="", help="Encoder of the new version [default: the one it has].")
@click.option(
    "--quantization",
    type=click.Choice([str(q) for q in Quantization]),
    help="What its graph is walked with [default: the one it has].",
)
@click.option(
    "--pace",
    type=click.FloatRange(0.01, 1.0),
    help="Share of the time that is worked [default: 0.5 beside a service, else 1].",
)
@click.option(
    "--allow-missing",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    show_default=True,
    help="Largest share of photos that need not be readable any more.",
)
@click.option("--keep-old", is_flag=True, help="Build it, but do not use it yet.")
@JSON
def reindex_command(
    gallery: str | None,
    model: str,
    quantization: str | None,
    pace: float | None,
    allow_missing: float,
    keep_old: bool,
    as_json: bool,
) -> None:
    """Build a new version of a gallery and, when it is valid, use it.

    Photos are read again from where they came from. A service that owns the data directory goes
    on answering and taking photos. Cut off at any moment, the same command goes on where it
    stopped. The version before is kept for GEOFIX_VERSION_GRACE_H hours, to go back to with
    `geofix index activate`.

    Exit status: 0 when the new version is used, 1 when it did not pass or something failed.
    """
    from indexer.galleries.plan import Plan
    from workers.reindexing import reindex

    config = settings()
    beside = bool(address(config))
    plan = Plan(
        model,
        Quantization(quantization) if quantization else None,
        pace or (0.5 if beside else 1.0),
        allow_missing,
    )
    os.nice(_NICE)
    name = gallery or config.gallery
    with progress() as bar:
        task = bar.add_task("Re-indexing", total=None)
        made = asyncio.run(
            reindex(
                config,
                name,
                plan,
                activates=not keep_old,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        )
    used = "built" if keep_old else "in use"
    _show(made, as_json, f"Gallery {name}: version {made.version} ({made.encoder}) is {used}.")


@click.command("versions")
@GALLERY
@JSON
def versions_command(gallery: str | None, as_json: bool) -> None:
    """List a gallery's versions."""
    config = settings()
    found = known_versions(DataDirectory(config.data_dir), gallery or config.gallery)
    if as_json:
        listed = [Version.of(card).model_dump(mode="json") for card in found]
        click.echo(json.dumps({"versions": listed}, indent=2))
        return
    for card in found:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in card.figures.items())
        line = f"{card.version}  {card.state}  {card.encoder}, {card.quantization}  {figures}"
        OUT.print(f"{line} {card.reason}".rstrip(), soft_wrap=True)


@click.command("activate")
@click.argument("version", type=click.IntRange(1))
@GALLERY
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Go on though photos that cannot be encoded again would be missing.",
)
@JSON
def activate_command(version: int, gallery: str | None, allow_missing: bool, as_json: bool) -> None:
    """Use another VERSION of a gallery: a new one, or the one before.

    What was added and removed since is brought over first. Exit status: 0 when it is used, 1 when
    its canaries failed and the one before is used again.
    """
    config = settings()
    name = gallery or config.gallery

    async def here(galleries: Galleries) -> None:
        await galleries.activate(name, version, allow_missing=allow_missing)

    async def there(service: Service) -> None:
        asked = json.dumps({"version": version, "allow_missing": allow_missing}).encode()
        await service.ask(
            "POST",
            f"/v1/galleries/{name}/activate",
            body=asked,
            headers={"Content-Type": "application/json"},
        )

    asyncio.run(by_owner(config, "geofix index activate", here, there))
    card = versions.read(DataDirectory(config.data_dir).gallery(name), version)
    _show(card, as_json, f"Gallery {name}: version {version} ({card.encoder}) is in use.")


async def by_owner(
    config: Settings,
    command: str,
    here: Callable[[Galleries], Coroutine[None, None, T]],
    there: Callable[[Service], Coroutine[None, None, T]],
) -> T:
    """Do something with the galleries: ask the service that owns them, or own them meanwhile.

    Raises DataDirectoryBusy when a process other than a service owns them.
    """
    if where := address(config):
        async with connect(where, config.api_key.get_secret_value()) as service:
            return await there(service)
    directory = DataDirectory(config.data_dir)
    directory.acquire(command)
    galleries = Galleries(directory, config)
    try:
        return await here(galleries)
    finally:
        await galleries.close()
        directory.release()


def _show(card: VersionCard, as_json: bool, line: str) -> None:
    if as_json:
        click.echo(Version.of(card).model_dump_json(indent=2))
    else:
        OUT.print(line, soft_wrap=True)
