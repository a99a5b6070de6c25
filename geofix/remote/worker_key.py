"""The secret by which a service knows its workers.

Where none is configured, it lies in the data directory, readable by its owner alone: whoever can
read that file can read everything else the service holds.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from geofix.settings import Settings

_FILE = "worker.key"


def worker_key(settings: Settings) -> str:
    """The configured key, else the data directory's, which is made when it is first needed."""
    configured = settings.worker_key.get_secret_value()
    return configured or _kept(settings.data_dir / _FILE)


def _kept(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, prefix=f"{_FILE}.") as written:  # mode 0600
            written.write(secrets.token_urlsafe(32))
            written.flush()
            with suppress(FileExistsError):
                path.hardlink_to(written.name)  # whole or not at all, and the first of two stays
    return path.read_text("ascii")
