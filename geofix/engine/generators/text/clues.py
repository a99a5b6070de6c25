"""Clues in a line of text that name a country outright: its own name for itself, a web address,
a telephone number, a currency, a brand that is found in few countries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from geofix.engine.generators.text import scripts
from geofix.engine.generators.text.language import countries, doubted
from geofix.engine.generators.text.words import vocabulary
from geofix.engine.types import Float64Array

_SURE = 0.93

_ADDRESS = re.compile(r"(?:www\.|@)?[\w-]{2,}(?:\.[\w-]{2,})*\.([a-z]{2})(?![\w.])", re.IGNORECASE)
_SOLD_TO_ANYBODY = frozenset(
    {"ac", "ag", "ai", "am", "as", "bz", "cc", "cd", "co", "fm", "ga", "gg", "gl", "gq", "io"}
    | {"is", "la", "li", "ly", "me", "ml", "ms", "mu", "nu", "pw", "sc", "sh", "so", "st", "su"}
    | {"tf", "tk", "to", "tv", "vc", "vg", "ws"}
)
"""Country domains that are mostly sold abroad, after Google Search's list of generic ccTLDs."""
_SHORTENED = frozenset({"youtu.be", "goo.gl"})
_TELEPHONE = re.compile(r"(?<![\w+])(?:\+|00)[ ]?(\d[\d ()/.-]{6,18}\d)(?!\d)")
_MONEY = (
    (re.compile(r"\d\s?€|€\s?\d"), "EUR"),
    (re.compile(r"£\s?\d"), "GBP"),
    (re.compile(r"\d\s?zł\b", re.IGNORECASE), "PLN"),
    (re.compile(r"\d\s?Kč\b"), "CZK"),
    (re.compile(r"\d\s?Ft\b"), "HUF"),
    (re.compile(r"R\$\s?\d"), "BRL"),
    (re.compile(r"[₺]\s?\d|\d\s?(?:₺|TL\b)"), "TRY"),
    (re.compile(r"₹\s?\d"), "INR"),
    (re.compile(r"\d円"), "JPY"),
    (re.compile(r"\d元"), "CNY"),
    (re.compile(r"₫\s?\d|\d\s?₫"), "VND"),
    (re.compile(r"₩\s?\d"), "KRW"),
    (re.compile(r"₴\s?\d|\d\s?₴"), "UAH"),
    (re.compile(r"₽\s?\d|\d\s?₽"), "RUB"),
)

_LETTERS = re.compile(r"[^\W\d_]+")
_NAME, _DOMAIN, _PREFIX, _CURRENCY = 0.8, 0.9, 0.95, 0.8
_LONG_BRAND, _SHORT_BRAND = 0.7, 0.4
"""How often each is right about where the photo was taken."""


def log_ratios(text: str, confidence: float, *, words: bool) -> Float64Array:
    """Natural-log likelihood ratio [C] of one line's clues for ``countries().codes``.

    ``words``: whether its words are believed; what stands in digits and signs counts anyhow.
    """
    codes = countries().codes
    total = np.zeros(len(codes))
    if confidence < _SURE:
        return total
    for named, reliability in [*_numbered(text), *(_named(text) if words else ())]:
        here = np.array([code in named for code in codes], dtype=np.float64)
        if here.any():
            total += doubted(here / here.mean(), reliability)
    return total


def _named(text: str) -> Iterator[tuple[Sequence[str], float]]:
    """Names of countries and brands."""
    country = countries().names.get(scripts.fold(text).strip())
    if country is not None:
        yield (country,), _NAME
    yield from _branded(text)


def _numbered(text: str) -> Iterator[tuple[Sequence[str], float]]:
    """Addresses, telephone numbers and prices."""
    table = countries()
    for address in _ADDRESS.finditer(text):
        domain = address.group(1).lower()
        if address.group(0).lower() in _SHORTENED:
            continue
        sure = "www" in text.lower() or "@" in text or len(address.group(0)) >= 8
        if sure and domain not in _SOLD_TO_ANYBODY and domain in table.domains:
            yield (table.domains[domain],), _DOMAIN
    for number in _TELEPHONE.finditer(text):
        digits = re.sub(r"\D", "", number.group(1))
        if 9 <= len(digits) <= 15:
            prefix = next((digits[:n] for n in (4, 3, 2, 1) if digits[:n] in table.telephone), "")
            if prefix:
                yield table.telephone[prefix], _PREFIX
    for pattern, money in _MONEY:
        if pattern.search(text):
            yield table.currencies.get(money, ()), _CURRENCY


def _branded(text: str) -> Iterator[tuple[Sequence[str], float]]:
    """Names of brands that are in a few countries, where they are not plain words too."""
    words = [scripts.fold(word) for word in _LETTERS.findall(text)]
    for size in range(min(len(words), 4), 0, -1):
        for start in range(len(words) - size + 1):
            name = " ".join(words[start : start + size])
            here = countries().brands.get(name, ())
            if here and len(name) >= 5 and not vocabulary().known(name):
                yield here, _LONG_BRAND if len(name) >= 8 else _SHORT_BRAND
                return
