"""Angles as language models write them: decimal, decimal comma, hemispheres, minutes and seconds.

Texts are normalised first, so that the patterns below need to know ASCII digits, one minus sign,
one degree sign and single spaces only. No pattern can run for longer than the text is long.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Axis = Literal["lat", "lon", ""]

_BEFORE_NFKC = str.maketrans({"º": "°", "˚": "°", "∘": "°", "´": "'", "″": '"'})
_AFTER_NFKC = str.maketrans(
    dict.fromkeys("−‐‑‒–—―﹣", "-")
    | dict.fromkeys("‘’′‵`", "'")
    | dict.fromkeys("“”„‟", '"')
    | {"٫": ".", "٬": "", "、": ",", "⁄": "/"}
)
_SPACES = re.compile(r"\s+")
_HEMISPHERES: Mapping[str, tuple[Axis, int]] = {
    "N": ("lat", 1),
    "S": ("lat", -1),
    "E": ("lon", 1),
    "W": ("lon", -1),
}

# A comma is a decimal sign only where no further digit or point follows: "48,8566", not "48,2.35".
NUMBER = r"(?:\d+(?:\.\d+|,\d+(?![\d.]))?|\.\d+)(?:[eE][-+]?\d{1,4})?(?!\.?\d)"
_WORD = r"(?:north|south|east|west)"
_UNITS = (
    rf"(?: ?(?:°|deg(?:rees?)?\b)"
    rf"(?: ?(?P<minutes>{NUMBER}) ?(?:'(?!')|min(?:utes?)?\b)"
    rf'(?: ?(?P<seconds>{NUMBER}) ?(?:"|\'\'|sec(?:onds?)?\b))?)?)?'
)
_PARTS = re.compile(
    rf"(?P<before>{_WORD}|[NSEW])? ?(?P<sign>[-+])?(?P<degrees>{NUMBER}){_UNITS}"
    rf"(?: ?(?P<after>{_WORD}|[NSEW]))?",
    re.IGNORECASE,
)
# In running text a letter must be a capital: "48,85 e 2,35" is Italian for "and".
_LETTER = rf"(?:{_WORD}|(?-i:[NSEW]))(?![A-Za-z])"
_SIZE = rf"[-+]?{NUMBER}" + re.sub(r"\?P<\w+>", "?:", _UNITS)
ANGLE = rf"(?:(?<![A-Za-z]){_LETTER} ?{_SIZE}|(?<![\w.+-]){_SIZE}(?: ?{_LETTER})?)"
"""Pattern of one angle in normalised text, without groups; to be compiled ignoring case."""


@dataclass(frozen=True, slots=True)
class Angle:
    """An angle in degrees; may be infinite or NaN, whoever uses it must look."""

    degrees: float
    axis: Axis
    """The axis that a hemisphere letter names, or empty."""
    decimals: int
    """Digits given after the point; minutes count as two, seconds as four."""


def normalise(text: str) -> str:
    """Same text with ASCII digits and signs, straight quotes and single spaces."""
    text = unicodedata.normalize("NFKC", text.translate(_BEFORE_NFKC)).translate(_AFTER_NFKC)
    if not text.isascii():
        text = "".join(_ascii_digit(c) for c in text)
    return _SPACES.sub(" ", text).strip()


def angle(text: str) -> Angle | None:
    """The angle that a normalised text consists of, or None when it is anything else."""
    parts = _PARTS.fullmatch(text.strip())
    if parts is None:
        return None
    degrees = _decimal(parts["degrees"])
    decimals = _places(parts["degrees"])
    for part, share, worth in (("minutes", 60.0, 2), ("seconds", 3600.0, 4)):
        if parts[part]:
            if _decimal(parts[part]) >= 60.0:
                return None
            degrees += _decimal(parts[part]) / share
            decimals = worth
    letter = parts["before"] or parts["after"] or ""
    if not letter:
        return Angle(-degrees if parts["sign"] == "-" else degrees, "", decimals)
    axis, sign = _HEMISPHERES[letter[0].upper()]
    # "-33.8 S" is south all the same: a letter says more than a sign.
    sign = -1 if parts["sign"] == "-" and sign == 1 else sign
    return Angle(sign * degrees, axis, decimals)


def angle_of(value: object) -> Angle | None:
    """The angle of one JSON value: a number, a text, or an object of degrees and minutes."""
    match value:
        case bool():
            return None
        case int() | float():
            try:
                return Angle(float(value), "", _places(repr(value)))
            except (OverflowError, ValueError):  # thousands of digits
                return Angle(float("inf"), "", 0)
        case str() if len(value) <= 100:
            return angle(normalise(value)) or _not_finite(value)
        case dict():
            letter = value.get("direction") or value.get("hemisphere") or ""
            minutes, seconds = value.get("minutes") or 0, value.get("seconds") or 0
            return angle(
                normalise(f"{value.get('degrees')}° {minutes}' {seconds}\" {letter}"[:100])
            )
        case _:
            return None


def _not_finite(value: str) -> Angle | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return Angle(number, "", 0)


def _ascii_digit(character: str) -> str:
    if character.isascii() or not character.isdecimal():
        return character
    return str(unicodedata.decimal(character))


def _decimal(number: str) -> float:
    return float(number.replace(",", "."))


def _places(number: str) -> int:
    _, _, fraction = number.replace(",", ".").partition(".")
    return len(fraction) if fraction.isdigit() and fraction != "0" else 0
