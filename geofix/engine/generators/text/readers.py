"""Both readers on one photo: what the first cannot make out is shown to the second."""

from __future__ import annotations

import re
from dataclasses import replace

from geofix.engine.generators.text import ocr, scripts, trust
from geofix.engine.generators.text.tesseract import MOST_LINES, SecondReading, Tesseract
from geofix.engine.generators.text.trust import Judged, Kind, Word
from geofix.engine.generators.text.words import vocabulary
from geofix.engine.types import UInt8Array

_WORD = re.compile(r"[^\W\d_]+(?:[\u0900-\u097f\u0e00-\u0e7f\u0610-\u061a\u064b-\u065f]|[^\W\d_])*")
"""Marks that Python's ``\\w`` leaves out belong to words of Devanagari, Thai and Arabic."""

_SURE_THAI = 0.85


class Readers:
    """The built-in reader and, where it is installed, Tesseract."""

    def __init__(self, threads: int, tesseract: str | None = None) -> None:
        self._first = ocr.Reader(threads)
        self._second = Tesseract(tesseract)

    def read(self, pixels: UInt8Array, deadline: float) -> list[Judged]:
        """The lines of a photo [h, w, 3], each with its verdict.

        ``deadline``, on the clock of ``time.monotonic``, binds the second reader.
        """
        picture = ocr.picture_of(pixels)
        return self._read_again(trust.judge(self._first.read(picture)), picture, deadline)

    def _read_again(
        self, lines: list[Judged], picture: UInt8Array, deadline: float
    ) -> list[Judged]:
        """Shows the second reader what the first could not make out."""
        wanted = [script for script in self._second.scripts if script not in self._first.scripts]
        unread = sorted(
            (i for i, line in enumerate(lines) if line.unread),
            key=lambda i: -lines[i].line.height,
        )[:MOST_LINES]
        if not wanted or not unread:
            return lines
        crops = [ocr.crop_of_line(picture, lines[i].line) for i in unread]
        again = list(lines)
        for i, readings in zip(unread, self._second.read(crops, wanted, deadline), strict=True):
            reading = next(filter(_is_language, readings), None)
            if reading is not None:
                again[i] = _second_judged(lines[i], reading)
        return again


def _is_language(reading: SecondReading) -> bool:
    """Whether a word of it is known: Tesseract reads letters into anything.

    Thai is written without spaces, so its words are not looked for; it must be read surely.
    """
    if reading.script == "Thai":
        return reading.confidence >= _SURE_THAI and len(reading.text) >= 4
    return any(_known(scripts.fold(word), reading.script) for word in _WORD.findall(reading.text))


def _known(word: str, script: str) -> bool:
    table = vocabulary()
    pieces = {word}
    if script == "Hang":  # written with endings, and seldom with spaces
        pieces |= {word[:n] for n in range(2, len(word))} | {word[-n:] for n in range(3, len(word))}
    return any(
        len(piece) >= 2 and table.scripts[table.languages.index(code)] == script
        for piece in pieces
        for code in table.known(piece)
    )


def _second_judged(line: Judged, reading: SecondReading) -> Judged:
    words = tuple(
        Word(
            text=word,
            script=reading.script,
            kind=Kind.CLEAR if _known(scripts.fold(word), reading.script) else Kind.UNKNOWN,
            confidence=reading.confidence,
        )
        for word in _WORD.findall(reading.text)
    )
    said = replace(
        line.line,
        text=reading.text,
        confidences=(reading.confidence,) * len(reading.text),
        centres=(),
        reader="tesseract",
    )
    return Judged(said, reading.script, words)
