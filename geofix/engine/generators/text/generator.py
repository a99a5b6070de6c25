"""The text in a photo: which places it names, and which countries write so.

Lines are read, judged (``trust``), and what is believed becomes evidence: names in the gazetteer
are candidates, languages and clues weigh countries. What cannot be read is not guessed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from geofix.engine.generators.text import clues, language, scripts, toponyms
from geofix.engine.generators.text.trust import Judged, Kind
from geofix.engine.types import Channel, Float64Array, Proposal, Query, TextClue
from geofix.geo.gazetteer import gazetteer

if TYPE_CHECKING:
    from geofix.engine.generators.text.readers import Readers

_MOST_CLUES = 60
_NEGLIGIBLE = 0.05
"""Countries whose log-likelihood ratio is nearer to 0 are not named."""
_RESERVE_S = 1.0
"""Kept of the budget for what follows the second reader."""
_CJK = frozenset({"Hani", "Jpan", "Hira", "Kana"})


class TextGenerator:
    """Reads signs. Models are loaded with the first photo; photos are read one at a time."""

    channel = Channel.TEXT

    def __init__(
        self,
        budget_s: float,
        threads: int = 2,
        tesseract: str | None = None,
    ) -> None:
        self.budget_s = budget_s
        self._threads = threads
        self._tesseract = tesseract

    @cached_property
    def _readers(self) -> Readers:
        from geofix.engine.generators.text.readers import Readers  # noqa: PLC0415 – half a second

        return Readers(self._threads, self._tesseract)

    async def propose(self, query: Query) -> Proposal:
        """Candidates by name, country weights, and every line read with its verdict."""
        return await asyncio.to_thread(self._propose, query)

    def _propose(self, query: Query) -> Proposal:
        deadline = time.monotonic() + min(self.budget_s, query.left_s()) - _RESERVE_S
        lines = self._readers.read(query.photo.pixels, deadline)
        if not any(line.legible or line.script_only for line in lines):
            shown = [line for line in lines if line.line.text.strip()][:_MOST_CLUES]
            return Proposal(Channel.TEXT, text=tuple(_clue(line, "", ()) for line in shown))
        named = toponyms.find(lines, gazetteer(), query.filter.countries)
        evidence = [_evidence(line) for line in lines]
        weights = _weights(lines, evidence)
        read = [
            _clue(
                line,
                said.language if said else "",
                tuple(dict.fromkeys(one.place.name for one in named if one.line == number)),
            )
            for number, (line, said) in enumerate(zip(lines, evidence, strict=True))
        ]
        return Proposal(
            channel=Channel.TEXT,
            candidates=tuple(toponyms.candidate(one) for one in named),
            countries=weights,
            text=tuple(clue for clue in read if clue.text.strip())[:_MOST_CLUES],
        )


def _evidence(line: Judged) -> language.Evidence | None:
    """What the line says of its language; None where it says nothing."""
    if line.script_only:
        return language.in_script(line.script)
    if line.rejected or not (line.alone or line.line.reader == "tesseract"):
        return None
    believed = [word for word in line.words if word.kind in {Kind.CLEAR, Kind.UNKNOWN}]
    cjk = "".join(word.text for word in believed if word.script in _CJK)
    if cjk:
        return language.written(cjk, line.line.confidence)
    script = line.script
    folded = [scripts.fold(word.text) for word in believed if word.script == script]
    if script == "Grek":
        folded = [_greek(word) for word in folded]
    if not folded:
        return None
    if line.line.reader == "tesseract":
        # It has been held against the vocabulary already, and its confidences are lower.
        said = language.spelled(folded, script, 1.0)
        return said if said.reliability > 0 else language.in_script(script)
    return language.spelled(folded, script, line.line.confidence)


def _greek(word: str) -> str:
    """A Greek word with the Latin letters that were read into it made Greek."""
    return scripts.unaccented(word).translate(str.maketrans("abehikmnoptyxzvu", "αβεηικμνορτυχζνυ"))


def _weights(
    lines: Sequence[Judged], evidence: Sequence[language.Evidence | None]
) -> Mapping[str, float]:
    seen: set[str] = set()
    said: list[language.Evidence] = []
    total: Float64Array = np.zeros(len(language.countries().codes))
    for line, one in zip(lines, evidence, strict=True):
        folded = scripts.fold(line.line.text)
        if folded in seen:
            continue
        seen.add(folded)
        if one is not None:
            said.append(one)
        if line.legible:
            total += clues.log_ratios(
                line.line.text, line.line.confidence, words=line.alone and not line.rejected
            )
    total = language.capped(total + language.log_ratios(said))
    return {
        code: float(weight)
        for code, weight in zip(language.countries().codes, total, strict=True)
        if abs(weight) >= _NEGLIGIBLE
    }


def _clue(line: Judged, code: str, places: tuple[str, ...]) -> TextClue:
    return TextClue(
        text=line.line.text,
        confidence=line.line.confidence,
        box=line.line.box,
        script=line.script,
        language=code,
        places=places,
        rejected=line.rejected,
    )
