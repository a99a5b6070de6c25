"""What to say where a command needs packages that not everybody installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """A package that is missing becomes the command that installs the extra it belongs to."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"This needs {error.name}: pip install 'geofix[{extra}]'"
        ) from error
