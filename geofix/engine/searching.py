"""What the galleries of one answer hold that looks like a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from geofix.engine import retrieval
from geofix.engine.choosing.conclude import Findings
from geofix.engine.eyes import View
from geofix.engine.retrieval import Opened
from geofix.engine.stages import Stopwatch
from geofix.engine.types import Embedding, LocateOptions, Photo, Query, Rule
from geofix.errors import InvalidOption
from geofix.settings import Settings


async def opened(view: View, names: Sequence[str], settings: Settings) -> Opened:
    """The galleries of these names, or the configured one; raises as ``retrieval.open_all``."""
    named = names or (settings.gallery,)
    return await retrieval.open_all(view.galleries, named, view.eye.batcher.encoder, settings)


async def search(
    view: View,
    photo: Photo,
    embedding: Embedding,
    options: LocateOptions,
    settings: Settings,
    clock: Stopwatch,
) -> Findings:
    """The neighbours of a photo, and the photo in location space.

    Raises InvalidOption for a published rule where no way leads there.
    """
    found = await opened(view, options.galleries, settings)
    neighbours, degraded = await clock.stage(
        "search",
        retrieval.nearest(found.galleries, embedding.vector, options.neighbours, options.filter),
        lambda done: {"found": len(done[0])},
    )
    look, calibrated = await view.eye.space.look(embedding, found.galleries, found.infos)
    if look is None and options.rule is not Rule.GEOFIX:
        raise cannot_compare(view.eye.name, options.rule)
    findings = Findings(
        Query(photo, embedding, neighbours, options.filter, account=options.account),
        view.eye.name,
        found.infos,
        degraded=(*found.degraded, *degraded),
        look=look,
        calibrated=calibrated,
    )
    if look is None or options.rule is not Rule.GEOCLIP:
        return findings
    # Opened again: the first look may have taken all their time.
    again = await opened(view, options.galleries, settings)
    best, _ = await retrieval.nearest(again.galleries, look.vector, 1, options.filter, "gps")
    return replace(findings, nearest=best[0] if best else None)


def cannot_compare(encoder: str, rule: Rule) -> InvalidOption:
    """Why a published rule cannot be followed with this encoder."""
    return InvalidOption(
        f"The rule {str(rule)!r} compares the photo with places, and the encoder "
        f"{encoder!r} sees no places: choose an encoder that is aligned with them, "
        "a gallery of 500 photos or more, which bridges the gap, or the rule 'geofix'."
    )
