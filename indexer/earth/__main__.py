"""``python -m indexer.earth``: rebuild the tables of ``geofix.geo``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from geofix.geo import boundaries as built
from indexer.earth import boundaries, gazetteer, grid, rasters, tables
from indexer.earth.cities import cities as read_cities

DATA = Path(built.__file__).parent / "data"
TABLES = ("countries", "regions", "places", "earth")


@click.command()
@click.option(
    "--packages",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path.home() / ".cache" / "geofix" / "packages",
    show_default=True,
    help="Folder of the fetched packages; what is missing is fetched into it.",
)
@click.option("--only", type=click.Choice(TABLES), multiple=True, help="Build only these tables.")
def build(packages: Path, only: tuple[str, ...]) -> None:
    """Rebuild the tables of geofix.geo from pinned registry packages."""
    wanted = only or TABLES
    DATA.mkdir(exist_ok=True)
    cities = read_cities(packages)
    regions = boundaries.regions(packages, cities)
    pixels = rasters.raster(packages)
    if {"countries", "places"} & set(wanted):
        land = np.array([region.area for region in regions])
        settled = np.array([(city.lat, city.lon) for city in cities])
        islets = np.concatenate([rasters.islets(pixels), settled])
        areas = boundaries.countries(packages, cities, land, islets)
    if "countries" in wanted:
        tables.write(tables.countries_table(packages, areas), DATA / "countries.parquet")
        built.countries.cache_clear()
    if "regions" in wanted:
        tables.write(tables.regions_table(packages, regions), DATA / "regions.parquet")
    if "places" in wanted:
        admin1 = tables.admin1_names(packages)
        places = gazetteer.entries(packages, cities, regions, areas, admin1)
        keys, names = gazetteer.name_tables(places)
        tables.write(gazetteer.places_table(places), DATA / "places.parquet")
        tables.write(keys, DATA / "keys.parquet")
        tables.write(names, DATA / "names.parquet")
    if "earth" in wanted:
        tables.write(grid.earth_table(packages, cities, pixels), DATA / "earth.parquet")
    for path in sorted(DATA.glob("*.parquet")):
        click.echo(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    build()
