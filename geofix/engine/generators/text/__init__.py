"""Reading the text in a photo: which places it names, and which countries write so.

``generator`` is the whole; ``readers``, ``ocr`` and ``tesseract`` read lines, ``trust`` judges
them, ``toponyms`` finds the names of places in them, ``words``, ``scripts`` and ``language`` tell
what they are written in, ``clues`` what else speaks for a country.
"""

from geofix.engine.generators.text.generator import TextGenerator

__all__ = ["TextGenerator"]
