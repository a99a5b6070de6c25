"""Scripts, and the look-alikes that make one script's letters read as another's.

A recogniser that knows no Cyrillic writes МОСКВА as MOCKBA and is sure of it. What the tables
here say of such readings was measured: rendered Cyrillic and Greek words were read and aligned
with what had been written (see the decision on reading text).
"""

from __future__ import annotations

import hashlib
import itertools
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

GREEK_ONLY = frozenset("ΓΔΘΛΞΠΣΦΨΩαβγδεζηθικλμνξπρσςτυφχψω")
"""Greek letters that are not drawn like a Latin one."""
SURELY_GREEK = frozenset("ΔΘΛΞΣΨΩδζηθλμξσςψωβ")
"""Those that no Cyrillic letter is read as either."""

LOOKALIKES = frozenset("abcehkmoptxy")
"""Folded Latin letters that are drawn like a Cyrillic one, the only ones it is surely read as."""

_READ_AS: dict[str, tuple[str, ...]] = {
    # The likeliest reading first; the empty one means that the letter is passed over.
    "а": ("a",), "в": ("b",), "с": ("c",), "е": ("e",), "ё": ("e",), "н": ("h",), "к": ("k",),
    "м": ("m",), "о": ("o",), "р": ("p",), "т": ("t",), "х": ("x",), "у": ("y", "v", ""),
    "і": ("i",), "ї": ("i",), "ј": ("j",), "ѕ": ("s",), "з": ("3", ""), "є": ("e", "c"),
    "г": ("f", "φ", ""), "ґ": ("f", ""), "б": ("", "b", "6"), "д": ("", "a"), "ж": ("k", ""),
    "и": ("", "n", "u"), "й": ("", "n", "u"), "л": ("ji", "", "i", "n"),
    "п": ("ii", "n", "π", ""), "ф": ("φ", ""), "ц": ("l", "i", "", "u"), "ч": ("", "4"),
    "ш": ("w", "ii", "iii"), "щ": ("", "w"), "ъ": ("", "b"), "ы": ("bi", "i", ""),
    "ь": ("b", "", "i"), "э": ("3", ""), "ю": ("io", "o"), "я": ("", "a", "r"),
    "ђ": ("", "h", "b"), "ѓ": ("f", ""), "ћ": ("h", ""), "ќ": ("k",), "љ": ("b", "jb"),
    "њ": ("hb", "h"), "џ": ("", "u"), "ў": ("y", "v"),
    "α": ("a",), "β": ("b",), "ε": ("e",), "η": ("h",), "ι": ("i",), "κ": ("k",), "μ": ("m",),
    "ν": ("n", "v"), "ο": ("o",), "ρ": ("p",), "τ": ("t",), "υ": ("y", "u"), "χ": ("x",),
    "ζ": ("z",), "γ": ("t", "f", "γ", "y"), "δ": ("δ",), "θ": ("θ", "0", "o"), "λ": ("λ", "a"),
    "ξ": ("e", "ξ"), "π": ("π", "n", "ii", "πi", "ni"), "σ": ("σ",), "ς": ("σ",), "φ": ("φ",),
    "ψ": ("ψ", "y"), "ω": ("ω", "q"),
}  # fmt: skip
_MOST_READINGS = 10

_AS_LATIN = str.maketrans("αβεηικμνορτυχζϲϳѵ", "abehikmnoptyxzcjv")
"""Folded Greek letters whose capitals are drawn like Latin ones."""

_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x0370, 0x03FF, "Grek"), (0x1F00, 0x1FFF, "Grek"), (0x0400, 0x052F, "Cyrl"),
    (0x0530, 0x058F, "Armn"), (0x0590, 0x05FF, "Hebr"), (0x0600, 0x077F, "Arab"),
    (0x08A0, 0x08FF, "Arab"), (0xFB50, 0xFDFF, "Arab"), (0xFE70, 0xFEFF, "Arab"),
    (0x0900, 0x097F, "Deva"), (0x0980, 0x09FF, "Beng"), (0x0E00, 0x0E7F, "Thai"),
    (0x10A0, 0x10FF, "Geor"), (0x1100, 0x11FF, "Hang"), (0x3130, 0x318F, "Hang"),
    (0xAC00, 0xD7AF, "Hang"), (0x3041, 0x309F, "Hira"), (0x30A0, 0x30FF, "Kana"),
    (0x3400, 0x4DBF, "Hani"), (0x4E00, 0x9FFF, "Hani"), (0xF900, 0xFAFF, "Hani"),
    (0x20000, 0x323AF, "Hani"),
)  # fmt: skip


@lru_cache(maxsize=65536)
def script(character: str) -> str:
    """ISO 15924 code of a letter's script, for example ``Latn``; empty for other characters."""
    if not character.isalpha() and unicodedata.category(character) not in {"Mn", "Mc", "Lm"}:
        return ""
    code = ord(character)
    for first, last, name in _RANGES:
        if first <= code <= last:
            return name
    return "Latn" if "LATIN" in unicodedata.name(character, "") else ""


def script_of(text: str) -> str:
    """The script most letters of a text are in; ``Jpan`` where kana stand among them."""
    counts: dict[str, int] = {}
    for character in text:
        name = script(character)
        if name:
            counts[name] = counts.get(name, 0) + 1
    if not counts:
        return "Zyyy"
    if counts.get("Hira", 0) + counts.get("Kana", 0) > 0:
        return "Jpan"
    return max(counts, key=lambda name: counts[name])


def scripts_written(characters: Iterable[str], least: int = 20) -> frozenset[str]:
    """The scripts of which a recogniser knows at least so many letters."""
    counts: dict[str, int] = {}
    for character in characters:
        name = script(character) if len(character) == 1 else ""
        if name:
            counts[name] = counts.get(name, 0) + 1
    return frozenset(name for name, count in counts.items() if count >= least)


def fold(text: str) -> str:
    """Case, width and composition set aside; diacritics kept, for they tell languages apart."""
    folded = unicodedata.normalize("NFKC", text).replace("İ", "i").casefold()
    return unicodedata.normalize("NFC", folded).replace("ς", "σ")


def unaccented(text: str) -> str:
    """The folded text without its combining marks."""
    parts = unicodedata.normalize("NFD", fold(text))
    return unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))


def shape(reading: str) -> str:
    """What is left of a word when letters drawn alike are one: ``MOCKBA`` and ``МОСКВА`` as read.

    Two readings of one sign in different fonts mostly have one shape.
    """
    return unaccented(reading).translate(_AS_LATIN)


def shapes(word: str) -> tuple[str, ...]:
    """The shapes in which a Cyrillic or Greek word is read, the likeliest first, at most ten."""
    letters = [_READ_AS.get(letter, (letter,)) for letter in unaccented(word)]
    found: dict[str, None] = {}
    # The fewer letters leave their likeliest reading, the likelier the whole.
    free = [i for i, options in enumerate(letters) if len(options) > 1]
    first = [options[0] for options in letters]
    for changes in range(min(len(free), 3) + 1):
        for chosen in itertools.combinations(free, changes):
            for options in itertools.product(*(letters[i][1:] for i in chosen)):
                reading = list(first)
                for i, option in zip(chosen, options, strict=True):
                    reading[i] = option
                found.setdefault("".join(reading))
                if len(found) >= _MOST_READINGS:
                    return tuple(found)
    return tuple(found)


def dropped(word: str, characters: frozenset[str]) -> str:
    """A folded word as a recogniser reads it that passes over the letters it does not know."""
    return "".join(c for c in word if c in characters or c.upper() in characters)


def key(word: str) -> int:
    """32 bits that stand for a word in the vocabulary's tables."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
