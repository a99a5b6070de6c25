"""Taking snapshots of galleries, and making galleries and indexes again."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from pathlib import Path

from geofix.engine.gallery import snapshots, versions
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.versions import VersionCard
from geofix.errors import Conflict, Unavailable


def folder(galleries: Galleries, name: str) -> Path:
    """Where the snapshots of a gallery lie. Raises InvalidOption for a bad name."""
    return galleries.directory.path / "snapshots" / galleries.folder(name).name


async def snapshot(galleries: Galleries, name: str, to: Path | None = None) -> Path:
    """Write the version in use to a file, by default among the gallery's snapshots.

    Writes wait meanwhile. Raises NotFound.
    """
    gallery = await galleries.open(name)
    card = galleries.card(name)
    if to is None:
        moment = versions.now().replace("-", "").replace(":", "")
        to = folder(galleries, name) / f"{moment}-v{card.version}.tar"
    async with gallery.settled():
        await asyncio.to_thread(snapshots.write, galleries.folder(name), card, to)
    return to


async def restore(galleries: Galleries, file: Path, *, replace: bool = False) -> str:
    """Make the gallery of a snapshot, under the name it had; returns that.

    Raises InvalidSource for a file that is no snapshot, and Conflict where there is such a
    gallery, unless that is to be replaced.
    """
    made = galleries.directory.path / "galleries" / f"~restored-{uuid.uuid4().hex}"
    card = await asyncio.to_thread(snapshots.unpack, file, made)
    try:
        wanted = galleries.folder(card.name)
        if card.name in galleries.names():
            if not replace:
                raise Conflict(f"There is a gallery {card.name!r} already.")
            await galleries.delete(card.name)
        await asyncio.to_thread(shutil.rmtree, wanted, ignore_errors=True)
        version = VersionCard(card.version, card.encoder, card.dimension)
        await galleries.opener.remove(card.name, version)
        made.rename(wanted)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)
        raise
    galleries.directory.write_card(card)
    await (await galleries.open(card.name)).optimize()
    return card.name


async def rebuild(galleries: Galleries, name: str) -> int:
    """Make a gallery's index anew from its ledger, even a damaged one; how many photos it holds.

    Raises NotFound.
    """
    try:
        gallery = await galleries.open(name)
        await gallery.renew_index()
    except Unavailable:
        if galleries.on_server:
            raise
        card = galleries.card(name)
        index = versions.folder(galleries.folder(name), card.version) / versions.INDEX
        await asyncio.to_thread(shutil.rmtree, index, ignore_errors=True)
        gallery = await galleries.open(name)
    await gallery.optimize()
    return await gallery.count()
