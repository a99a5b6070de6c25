"""Options that several commands take."""

from __future__ import annotations

import click

from geofix.engine.gallery.directory import gallery_name
from geofix.errors import InvalidOption

Names = str | tuple[str, ...] | None


def _legal(_: click.Context, option: click.Parameter, given: Names) -> Names:
    """A name that no gallery can have is a usage error."""
    try:
        for name in (given,) if isinstance(given, str) else given or ():
            gallery_name(name)
    except InvalidOption as error:
        raise click.BadParameter(str(error), param=option) from error
    return given


GALLERY = click.option(
    "--gallery",
    callback=_legal,
    metavar="NAME",
    help="Name of the gallery [default: GEOFIX_GALLERY or 'default'].",
)
GALLERIES = click.option(
    "--gallery",
    callback=_legal,
    multiple=True,
    metavar="NAME",
    help="Gallery to search; may be repeated.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
