"""Options that several commands take."""

from __future__ import annotations

import click

from geofix.engine.gallery.directory import gallery_name
from geofix.errors import InvalidOption


class GalleryName(click.ParamType):
    """The name of a gallery; one that no gallery can have is a usage error."""

    name = "name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return gallery_name(str(value))
        except InvalidOption as error:
            self.fail(str(error), param, ctx)


GALLERY = click.option(
    "--gallery",
    type=GalleryName(),
    metavar="NAME",
    help="Name of the gallery [default: GEOFIX_GALLERY or 'default'].",
)
GALLERIES = click.option(
    "--gallery",
    type=GalleryName(),
    multiple=True,
    metavar="NAME",
    help="Gallery to search; may be repeated.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
