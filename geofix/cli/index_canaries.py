"""``geofix index canaries``: labelled photos by which versions of a gallery are compared."""

from __future__ import annotations

import click

from geofix.cli.console import ERR, OUT
from geofix.cli.options import GALLERY
from geofix.engine.gallery import canaries, versions
from geofix.engine.gallery.directory import DataDirectory
from geofix.errors import InvalidSource
from geofix.settings import settings


@click.command("canaries")
@click.argument("source_text", metavar="SOURCE")
@GALLERY
def canaries_command(source_text: str, gallery: str | None) -> None:
    """Keep the photos of SOURCE as a gallery's canaries, in place of those before.

    They are no part of the gallery, and must have positions. A new version of the gallery is used
    while it places them no worse than the version before: their share whose most similar photo
    lies within 200 km must not shrink. They are read again at every re-index. A few hundred, from
    everywhere the gallery covers, tell more than many of one place.

    Exit status: 0 when at least one is kept, 1 when none can be used.
    """
    from indexer.galleries.any_source import open_any
    from indexer.galleries.labelled import encoded
    from indexer.galleries.sources import Defaults

    config = settings()
    directory = DataDirectory(config.data_dir)
    card = directory.card(gallery or config.gallery)
    source = open_any(source_text, Defaults())
    points, skipped = encoded(source.offers, card.encoder, config)
    for reason in skipped[:20]:
        ERR.print(reason, soft_wrap=True)
    if not points:
        raise InvalidSource("None of these photos can be used.")
    where = versions.folder(directory.gallery(card.name), card.version)
    canaries.write(where, points, card.dimension)
    OUT.print(f"Gallery {card.name} has {len(points)} canaries; {len(skipped)} were skipped.")
