"""Keys under which place names are found, however they were written.

A key keeps the letters and digits of a name and nothing else: case, width, accents, spaces and
punctuation are gone, so that SAO PAULO, São Paulo and SAOPAULO have one key. Marks that make
another letter of a letter (kana's dakuten, Indic vowels) stay.
"""

from __future__ import annotations

import unicodedata

_LETTERS = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "ħ": "h",
        "ı": "i",
        "ŋ": "n",
        "ŧ": "t",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ə": "e",
        "أ": "ا",
        "إ": "ا",
        "آ": "ا",
        "ى": "ي",
        "ة": "ه",
        "ی": "ي",
        "ک": "ك",
        "ـ": "",
    }
)
"""Letters that Unicode does not take apart, and Arabic ones that writers exchange freely."""

_FOLDED_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "COMBINING")
_CONFUSABLE = str.maketrans("0125689i", "olzsgbgl")


def search_key(name: str) -> str:
    """The key of a name; empty where it holds neither letter nor digit."""
    if name.isascii():
        return "".join(filter(str.isalnum, name.casefold()))
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_LETTERS)
    apart = unicodedata.normalize("NFKD", folded)
    kept: list[str] = []
    base_folds = False
    for character in apart:
        category = unicodedata.category(character)
        if category[0] == "M":
            if kept and not base_folds:
                kept.append(character)
        elif category[0] in "LN":
            base_folds = unicodedata.name(character, "").startswith(_FOLDED_SCRIPTS)
            kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))


def confusable_key(key: str) -> str:
    """A key with the characters that readers of photos exchange (0 and O, 1, I and l) made one."""
    return key.translate(_CONFUSABLE)


def is_ideographic(key: str) -> bool:
    """Whether a key is written in Han, kana or Hangul, where one character is a syllable."""
    return any(
        "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7af"
        for c in key
    )
