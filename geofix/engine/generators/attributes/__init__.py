"""Weighing places by what a photo shows: ``generator`` is the whole, ``maps`` the map's side."""

from geofix.engine.generators.attributes.generator import AttributesGenerator

__all__ = ["AttributesGenerator"]
