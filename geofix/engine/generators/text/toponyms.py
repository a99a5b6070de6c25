"""Names of places in what was read, and how much a name says.

``Nice``, ``Split``, ``Reading`` and ``Bar`` are towns and words: a name counts by how often it is
written as a word against how often a town of its size is written about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from geofix.engine.generators.text import scripts
from geofix.engine.generators.text.language import countries, languages_of
from geofix.engine.generators.text.trust import Judged, Kind, Word
from geofix.engine.generators.text.words import vocabulary
from geofix.engine.types import Candidate, Channel
from geofix.geo.gazetteer import Gazetteer, Place, PlaceMatch
from geofix.geo.gazetteer import Kind as PlaceKind

MOST_CANDIDATES = 20
_MOST_PHRASES = 32
_LONGEST_PHRASE = 4
_LEAST_LETTERS = 4
_EXACT, _LEAST_SIMILAR = 0.97, 0.88
_LEAST_SCORE = 0.02
_LEAST_WIDTH_KM = 3.0
"""A town's name is also written on the way to it."""
_MENTIONS_AT_HOME = 0.006
"""Share of all words that a town's name is in its country, for all of the country's people."""
_MENTIONS_ABROAD = 3e-11
"""The same in other languages, by head. Berlin, Lyon, Kraków and Trondheim are near both."""
_SMALL = 8000.0
"""People in a place so small that half of the signs with its name mean something else."""
_BRAND = 0.2
"""Of signs with the name of a town that is a brand too, as Toyota: the share that mean the town."""
_COMMON = 6.0
"""A word written so many times as often as the town is as likely the word as the town."""
_CJK = frozenset({"Hani", "Jpan", "Hira", "Kana"})
_BELIEVED = frozenset({Kind.CLEAR, Kind.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that may be a name."""

    text: str
    line: int
    confidence: float
    exact: bool
    """A fuzzy match is no match: the reading may be another script's look-alike, or is short."""


@dataclass(frozen=True, slots=True)
class Named:
    """A place that a line names."""

    place: Place
    line: int
    text: str
    score: float


def find(lines: Sequence[Judged], gazetteer: Gazetteer, within: tuple[str, ...]) -> list[Named]:
    """The places named, best first; an ambiguous name's score is shared among its places."""
    found: dict[Place, Named] = {}
    for phrase in _distinct(lines):
        matches = _matches(phrase, gazetteer, within)
        weights = np.array([_weight(match) for match in matches])
        for match, weight in zip(matches, weights, strict=True):
            score = phrase.confidence * match.similarity * _specificity(phrase.text, match.place)
            score *= float(weight / weights.sum())
            known = found.get(match.place)
            if score >= _LEAST_SCORE and (known is None or known.score < score):
                found[match.place] = Named(match.place, phrase.line, phrase.text, score)
    return sorted(found.values(), key=lambda named: -named.score)[:MOST_CANDIDATES]


def _matches(phrase: Phrase, gazetteer: Gazetteer, within: tuple[str, ...]) -> list[PlaceMatch]:
    """The towns, and the regions in whose country no town is called so."""
    least = _EXACT if phrase.exact else _LEAST_SIMILAR
    near = [
        match
        for match in gazetteer.search(phrase.text, limit=8, countries=within)
        if match.similarity >= least
        and match.place.kind is not PlaceKind.COUNTRY
        and not _is_transliterated(match.matched_name)
    ]
    towns = {match.place.country for match in near if match.place.kind is PlaceKind.CITY}
    return [
        match
        for match in near
        if match.place.kind is PlaceKind.CITY or match.place.country not in towns
    ]


def candidate(named: Named) -> Candidate:
    """The named place as a proposed position."""
    return Candidate(
        lat=named.place.lat,
        lon=named.place.lon,
        channel=Channel.TEXT,
        score=float(np.clip(named.score, 0.0, 1.0)),
        width_km=max(named.place.radius_km, _LEAST_WIDTH_KM),
        source=f"text: {named.text}",
        name=named.place.name,
    )


def _is_transliterated(name: str) -> bool:
    """Whether a name is one of GeoNames' machine transliterations, as ``salw``: no sign has it."""
    return name.isascii() and name[:1].islower()


def _weight(match: PlaceMatch) -> float:
    place = match.place
    own = scripts.unaccented(match.matched_name) == scripts.unaccented(place.name)
    return match.similarity**8 * float(np.sqrt(place.population + 1000.0)) * (1.0 if own else 0.4)


def _specificity(text: str, place: Place) -> float:
    """How surely the text is the place's name and not a word, 0 to 1."""
    folded = scripts.fold(text)
    length = min(1.0, len(folded.replace(" ", "")) / (3.0 if _is_cjk(text) else 6.0))
    size = (place.population + _SMALL / 16) / (place.population + _SMALL)
    if folded in countries().brands:
        size *= _BRAND
    if " " in folded:
        return length * size
    return length * size / (1.0 + _commonness(folded, place) / _COMMON)


def _commonness(word: str, place: Place) -> float:
    """How many times as often the word is written as a town of the place's size would be."""
    table = countries()
    people = place.population + 2000.0
    home = languages_of(place.country)
    at_home = _MENTIONS_AT_HOME * people / max(table.population.get(place.country, 0), people)
    abroad = _MENTIONS_ABROAD * people
    return max(
        (
            float(np.exp(log)) / (max(at_home, abroad) if code in home else abroad)
            for code, log in vocabulary().known(word).items()
        ),
        default=0.0,
    )


def _distinct(lines: Sequence[Judged]) -> list[Phrase]:
    """The phrases to look up, the longest names and surest readings first, each once."""
    best: dict[str, Phrase] = {}
    for number, line in enumerate(lines):
        if line.rejected:
            continue
        for phrase in _phrases(number, line):
            folded = scripts.fold(phrase.text)
            if folded not in best or best[folded].confidence < phrase.confidence:
                best[folded] = phrase
    ordered = sorted(best.values(), key=lambda p: (-len(p.text), -p.confidence))
    return ordered[:_MOST_PHRASES]


def _phrases(number: int, line: Judged) -> Iterator[Phrase]:
    for run in _runs(line):
        for start in range(len(run)):
            for end in range(start + 1, min(start + _LONGEST_PHRASE, len(run)) + 1):
                yield from _phrase(number, line, run[start:end])


def _runs(line: Judged) -> Iterator[list[Word]]:
    """Neighbouring words of one script that are believed, or may be beside one that is."""
    believed = _BELIEVED | ({Kind.AMBIGUOUS} if line.alone else set())
    run: list[Word] = []
    for word in line.words:
        if run and (word.kind not in believed or word.script != run[-1].script):
            yield run
            run = []
        if word.kind in believed:
            run.append(word)
    if run:
        yield run


def _phrase(number: int, line: Judged, words: Sequence[Word]) -> Iterator[Phrase]:
    if not any(word.kind in _BELIEVED for word in words):
        return
    text = " ".join(word.text for word in words)
    confidence = min(word.confidence for word in words)
    if words[0].script in _CJK | {"Hang"}:
        if len(words) == 1:
            yield from _cjk_parts(number, text, confidence)
        return
    if sum(len(word.text) for word in words) < _LEAST_LETTERS:
        return
    if words[0].script == "Grek":
        for name in _greek(words):
            yield Phrase(name, number, confidence, exact=False)
        return
    exact = not line.alone or confidence < 0.95 or len(text) < 7
    yield Phrase(text, number, confidence, exact=exact)


def _cjk_parts(number: int, text: str, confidence: float) -> Iterator[Phrase]:
    """The whole and its beginnings and ends, for 東京駅 holds 東京; in simplified forms too."""
    for form in dict.fromkeys((text, text.translate(vocabulary().simplified))):
        for size in range(min(len(form), 6), 1, -1):
            yield Phrase(form[:size], number, confidence, exact=True)
            yield Phrase(form[-size:], number, confidence, exact=True)


def _greek(words: Sequence[Word]) -> tuple[str, ...]:
    """The place names that are read in this shape."""
    shape = scripts.shape(" ".join(word.text for word in words))
    return countries().greek_places.get(shape, ())


def _is_cjk(text: str) -> bool:
    return scripts.script_of(text) in _CJK
