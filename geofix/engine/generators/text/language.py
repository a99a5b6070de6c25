"""From the words on signs to languages, and from languages to countries.

Each country writes its signs in a mixture of languages: its own, by CLDR's figures of who speaks
what and what is official, and a little of those seen everywhere. A line of text has a probability
in each language, so it has one in each country; their ratio is what the line says of the country.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from geofix.engine.generators.text import scripts
from geofix.engine.generators.text.words import Vocabulary, vocabulary
from geofix.engine.types import Float64Array

CAP = 4.0
"""The most that all the text in a photo says for or against a country, in natural-log units."""

_ABROAD: Mapping[str, float] = {
    "en": 0.12, "fr": 0.008, "it": 0.008, "es": 0.006, "zh-Hans": 0.004, "de": 0.003,
    "ja": 0.003, "zh-Hant": 0.003, "ar": 0.002, "ko": 0.002, "pt-PT": 0.001, "ru": 0.001,
}  # fmt: skip
"""Share of signs in a language where it is at home with nobody: brands, menus, tourists."""
_ABROAD_OTHERS = 0.0004

_CHARACTER_SETS: Mapping[str, str] = {
    "zh-Hans": "gb2312", "zh-Hant": "big5", "ja": "euc_jp",
}  # fmt: skip
"""The national character sets tell simplified, traditional and Japanese forms apart."""
_OUTSIDE_SET = np.log(0.02)
_CJK = frozenset({"Hani", "Hira", "Kana"})
_LONGEST_WORD = 6
_SURE, _SURE_CJK = 0.93, 0.9
"""A single word read less surely says nothing of the language, unless it is one with accents."""
_LEAST_DOUBT, _UNKNOWN_DOUBT = 0.02, 0.3
_LETTERS: Mapping[str, float] = {"Hang": 2.5, "Hebr": 1.4, "Arab": 1.4}
"""Latin letters that one of another script is worth: syllables more, consonants a little more."""
_SCRIPT_RELIABILITY = 0.85
_NAME = 1.5e-6
"""Probability of a word on a sign as a name."""
_UNKNOWN_CHARACTER = np.log(1e-5)


@dataclass(frozen=True)
class Countries:
    """What the packaged table says of countries."""

    codes: tuple[str, ...]
    mixture: Float64Array
    """[C, L]: share of signs in each language of the vocabulary; rows sum to 1."""
    population: Mapping[str, int]
    brands: Mapping[str, tuple[str, ...]]
    """Folded name of a shop's or maker's brand → the countries it is in; none: anywhere."""
    names: Mapping[str, str]
    """Folded name in a language at home there → code."""
    domains: Mapping[str, str]
    """Country-code top-level domain → code."""
    telephone: Mapping[str, tuple[str, ...]]
    """Prefix without the plus → codes."""
    currencies: Mapping[str, tuple[str, ...]]
    """ISO 4217 → codes."""
    greek_places: Mapping[str, tuple[str, ...]]
    """Shape of a Greek place name as it is read → the names themselves."""


@lru_cache(maxsize=1)
def countries() -> Countries:
    """The table that comes with Geofix, loaded once."""
    packaged = files("geofix.engine.generators.text") / "data" / "countries.json"
    table = json.loads(packaged.read_text(encoding="utf-8"))
    languages = vocabulary().languages
    spoken: dict[str, dict[str, float]] = table["languages"]
    codes = tuple(sorted(spoken))
    abroad = np.array([_ABROAD.get(code, _ABROAD_OTHERS) for code in languages])
    mixture = np.tile(abroad, (len(codes), 1))
    for row, code in enumerate(codes):
        for language, share in spoken[code].items():
            mixture[row, languages.index(language)] += (1 - abroad.sum()) * share
    mixture /= mixture.sum(axis=1, keepdims=True)
    by_shape: dict[str, list[str]] = {}
    for name in table["greek_places"]:
        for shape in scripts.shapes(name):
            by_shape.setdefault(shape, []).append(name)
    return Countries(
        codes=codes,
        mixture=mixture,
        population=table["population"],
        brands={name: tuple(codes.split()) for name, codes in table["brands"].items()},
        names=table["names"],
        domains=table["domains"],
        telephone={prefix: tuple(found) for prefix, found in table["telephone"].items()},
        currencies={money: tuple(found) for money, found in table["currencies"].items()},
        greek_places={shape: tuple(names) for shape, names in by_shape.items()},
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one line says."""

    log_likelihood: Float64Array
    """[L], natural log; −inf for languages of other scripts."""
    reliability: float
    """0 to 1: how likely it is that the line is language and was read right."""

    @property
    def language(self) -> str:
        """ISO 639-1 of the likeliest language, or empty where none stands out."""
        if self.reliability <= 0:
            return ""
        best = int(np.argmax(self.log_likelihood))
        shares = np.exp(self.log_likelihood - self.log_likelihood[best])
        bases = [language.split("-")[0] for language in vocabulary().languages]
        code = bases[best]
        same = [i for i, base in enumerate(bases) if base == code]
        return code if shares[same].sum() >= 0.6 * shares.sum() else ""


def spelled(words: Sequence[str], script: str, confidence: float) -> Evidence:
    """Evidence of the folded words of a line in an alphabet, read with a confidence, 0 to 1."""
    table = vocabulary()
    total = np.zeros(len(table.languages))
    brands = countries().brands
    doubt, known, telling = 1.0, 0, script != "Latn"
    unknown_letters = 0
    for word in words:
        log = table.log_probability(word, script)
        total = total + log
        accented = len(word) >= 4 and not word.isascii()
        if any(table.scripts[table.languages.index(code)] == script for code in table.known(word)):
            doubt *= (
                0.9
                if word in brands
                else _doubt(round(len(word) * _LETTERS.get(script, 1.0)), float(log.max()))
            )
            known += len(word) >= 3
            telling |= accented
        elif accented:
            # Not a word we know, but letters that few languages have.
            doubt *= 0.5
        else:
            unknown_letters += len(word)
    if known < 2 and not telling and confidence < _SURE:
        doubt = 1.0
    unknown = unknown_letters / max(sum(len(word) for word in words), 1)
    return Evidence(total, 1.0 - max(doubt, _UNKNOWN_DOUBT * unknown, _LEAST_DOUBT))


def in_script(script: str) -> Evidence:
    """Evidence of letters of a script whose words were not made out."""
    here = vocabulary().scripts == script
    return Evidence(np.where(here, 0.0, -np.inf), _SCRIPT_RELIABILITY)


def _doubt(length: int, log_probability: float) -> float:
    """How likely a known word is none: misread, abbreviated, or somebody's or something's name.

    Names on signs may be any word, so the rarer the word, the likelier it is a name.
    """
    misread = {1: 1.0, 2: 1.0, 3: 0.85, 4: 0.35, 5: 0.15}.get(length, 0.06)
    return max(misread, _NAME / (_NAME + float(np.exp(log_probability))))


def written(text: str, confidence: float) -> Evidence:
    """Evidence of a run of Han and kana, read with a confidence, 0 to 1."""
    table = vocabulary()
    total = np.full(len(table.languages), -np.inf)
    longest = 0
    for code, characters in _CHARACTER_SETS.items():
        if code != "ja" and any(scripts.script(c) in {"Hira", "Kana"} for c in text):
            continue
        plain = text if code == "ja" else text.translate(table.simplified)
        lists = {code} if code == "ja" else {"zh-Hans", "zh-Hant"}
        log, known = _segmented(plain, lists, table)
        outside = sum(not _encodable(c, characters) for c in text)
        total[table.languages.index(code)] = log + outside * _OUTSIDE_SET
        longest = max(longest, known)
    kana = sum(scripts.script(c) in {"Hira", "Kana"} for c in text)
    doubt = {0: 1.0, 1: 1.0, 2: 0.15}.get(longest, 0.04)
    if longest < 2 and len(text) >= 4:
        doubt = 0.5
    if confidence < _SURE_CJK:
        doubt = 1.0
    return Evidence(total, 1.0 - max(doubt * 0.75**kana, _LEAST_DOUBT) if doubt < 1 else 0.0)


def _segmented(text: str, lists: set[str], table: Vocabulary) -> tuple[float, int]:
    """Natural-log probability of the likeliest division into words; the longest word known."""
    best = [0.0] + [-np.inf] * len(text)
    longest = [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - _LONGEST_WORD), end):
            known = table.known(text[start:end])
            found = max((log for code, log in known.items() if code in lists), default=None)
            size = end - start
            if found is None or size == 1:
                if size > 1:
                    continue
                found = _UNKNOWN_CHARACTER
                size = 0
            if best[start] + found > best[end]:
                best[end] = best[start] + found
                longest[end] = max(longest[start], size)
    return best[-1], longest[-1]


def _encodable(character: str, charset: str) -> bool:
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def log_ratios(lines: Sequence[Evidence]) -> Float64Array:
    """Natural-log likelihood ratio [C] of the lines for each of ``countries().codes``."""
    mixture = countries().mixture
    total = np.zeros(len(mixture))
    for line in lines:
        if line.reliability > 0 and np.isfinite(line.log_likelihood).any():
            likelihood = mixture @ np.exp(line.log_likelihood - line.log_likelihood.max())
            total += doubted(likelihood / likelihood.mean(), line.reliability)
    return total


def doubted(ratio: Float64Array, reliability: float) -> Float64Array:
    """The log of likelihood ratios [C] that hold with a probability, and else say nothing."""
    log: Float64Array = np.log(reliability * ratio + (1.0 - reliability))
    return log


def capped(log_ratio: Float64Array) -> Float64Array:
    """Within ±CAP; what exceeds it above is taken off everywhere, so that the order stays."""
    excess = max(float(log_ratio.max(initial=0.0)) - CAP, 0.0)
    within: Float64Array = np.clip(log_ratio - excess, -CAP, CAP)
    return within


@lru_cache(maxsize=512)
def languages_of(country: str) -> frozenset[str]:
    """The languages in which a fair part of a country's signs is written."""
    table = countries()
    if country not in table.codes:
        return frozenset()
    row = table.mixture[table.codes.index(country)]
    return frozenset(vocabulary().languages[i] for i in np.flatnonzero(row > 0.15))
