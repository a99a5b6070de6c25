"""Optimise an edge shard in a process of its own: ``python -m … DIRECTORY``.

Qdrant Edge holds the interpreter's lock for as long as it builds indexes, so that inside the
service every request would wait. Here it runs on a copy that nobody else has open.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from geofix.errors import Unavailable


async def optimize(shard: Path) -> None:
    """Build the indexes of the closed shard in ``shard``. Raises Unavailable when it fails."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        str(shard),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await child.communicate()
    except BaseException:
        if child.returncode is None:
            child.kill()
            await child.wait()
        raise
    if child.returncode != 0:
        reason = complaint.decode(errors="replace").strip().rpartition("\n")[2][:200]
        raise Unavailable(f"The gallery's index could not be optimised: {reason or 'no reason'}")


def _main(directory: str) -> None:
    import qdrant_edge  # noqa: PLC0415 - not needed by whoever starts the process

    os.nice(10)
    shard = qdrant_edge.EdgeShard.load(directory)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    _main(sys.argv[1])
