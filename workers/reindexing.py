"""Re-index a gallery and hand the new version to whoever owns the data directory.

In a process of its own: ``python -m workers.reindexing NAME …``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.port import Quantization
from geofix.engine.gallery.versions import VersionCard
from geofix.errors import GeofixError, Unavailable
from geofix.observability.logging import begin
from geofix.remote.client import address, connect
from geofix.remote.engine import KEY_HEADER
from geofix.remote.worker_key import worker_key
from geofix.settings import Settings, settings
from indexer.galleries.plan import Plan
from indexer.galleries.reindex import Progress, Reindex

log = logging.getLogger("geofix.reindex")

ACTIVATE_PATH = "/v1/internal/galleries/{name}/versions/{version}/activate"
_NICE = 10
LATER = 75
"""Exit status for what may succeed another time, as sysexits.h has it."""
_FAILED = 1


async def reindex(
    config: Settings,
    name: str,
    plan: Plan,
    *,
    activates: bool = True,
    progress: Progress = lambda _, __: None,
) -> VersionCard:
    """Build and validate a new version; unless not ``activates``, have it used at once.

    Where a service owns the data directory it goes on answering and taking photos meanwhile, and
    swaps by itself. Raises as ``Reindex.run``, and CanariesFailed when the version was taken
    back.
    """
    directory = DataDirectory(config.data_dir)
    made = await Reindex(directory, config, name, plan, progress).run()
    if not activates:
        return made
    if where := await asyncio.to_thread(address, config):
        key = await asyncio.to_thread(worker_key, config)
        path = ACTIVATE_PATH.format(name=name, version=made.version)
        async with connect(where) as service:
            await service.ask("POST", path, headers={KEY_HEADER: key})
        return made
    await asyncio.to_thread(directory.acquire, "geofix index reindex")
    galleries = Galleries(directory, config)
    try:
        return await galleries.activate(name, made.version)
    finally:
        await galleries.close()
        directory.release()


def main() -> int:
    """Exit status: 0 when there is nothing left to do, 75 when it may succeed later, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--base", type=int, required=True, help="version it is made of")
    parser.add_argument("--model", default="")
    parser.add_argument("--quantization", default="", choices=["", *Quantization])
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--most-missing", type=float, default=0.0)
    given = parser.parse_args()
    begin(settings())
    os.nice(_NICE)
    quantization = Quantization(given.quantization) if given.quantization else None
    plan = Plan(given.model, quantization, given.pace, given.most_missing)
    try:
        if DataDirectory(settings().data_dir).card(given.name).version != given.base:
            return 0  # it was done, or something else was
        asyncio.run(reindex(settings(), given.name, plan))
    except Unavailable as error:
        log.warning("%s", error)
        return LATER
    except GeofixError as error:
        log.warning("%s", error)
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
