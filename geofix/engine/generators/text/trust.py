"""Which of the words that were read are believed, and what script they really are in.

A recogniser without Cyrillic, Hangul, Arabic, Hebrew, Devanagari or Thai letters passes over most
of them and is unsure of the rest; that is seen from its confidences and from the gaps between the
characters. What it reads surely and wrongly are letters drawn alike: such words are found by
comparing their shape with those of known Cyrillic and Greek words, and are believed in no script
unless the rest of the photo's text settles it. What is not believed contributes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from geofix.engine.generators.text import scripts
from geofix.engine.generators.text.lines import Line
from geofix.engine.generators.text.words import vocabulary

LEAST_CONFIDENCE = 0.85
"""Of a line: of 1 040 words in scripts the recogniser knows, 99 % are read above 0.94."""
_ACCENTED_CONFIDENCE = 0.7
"""Of a line of known words with diacritics: the recogniser is less sure of Ç, İ and ş."""
_LEAST_CHARACTER, _LEAST_ACCENTED = 0.5, 0.3
_WIDEST_GAP = 1.6
"""Line heights between neighbouring characters; in words read right at most 1.2 was seen."""
_WIDEST_CJK_GAP = 2.2
_LEGIBLE_PX = 14
_LEGIBLE_LENGTH = 1.2
"""Smaller lines may be anything, as may upright ones: a door, a window. What is larger and still
not made out is probably in another script."""

_WORD = re.compile(r"[^\W_]+")
_XI = re.compile(r"(?<=[A-ZΑ-Ω])三(?=[A-ZΑ-Ω])")
"""The Han three among capitals is a Greek Ξ."""
_CJK = frozenset({"Hani", "Hira", "Kana"})


class Kind(StrEnum):
    """What a word turned out to be."""

    CLEAR = "clear"
    """A known word, or one with letters that nothing else is read as."""
    UNKNOWN = "unknown"
    """In no list, but no other script's look-alike: a name, perhaps."""
    AMBIGUOUS = "ambiguous"
    """Known, but a known Cyrillic or Greek word is read the same."""
    GREEK_ALIKE = "greek-alike"
    """Read as Latin, unknown as such, and a known Greek word is read so."""
    HOMOGLYPH = "homoglyph"
    """Read as Latin or Greek, and a known Cyrillic word is read so."""
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line."""

    text: str
    script: str
    kind: Kind
    confidence: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A line and what of it is believed."""

    line: Line
    script: str
    words: tuple[Word, ...] = ()
    """In reading order; the believed ones are ``CLEAR`` or ``UNKNOWN``."""
    rejected: str = ""
    """A stable phrase; empty where the line is used."""
    script_only: bool = False
    """Whether the letters are surely of the script, though what they say was not made out."""
    alone: bool = True
    """False where most of the photo's text is in a script that cannot be read: the line then
    says nothing of the language of the place, though it may still name it."""

    @property
    def legible(self) -> bool:
        """Whether the characters were made out, if not what they mean."""
        return self.rejected not in {UNSURE, PARTLY}

    @property
    def unread(self) -> bool:
        """Whether there is text that another reader might make out."""
        rejected = self.rejected in {UNSURE, PARTLY, LOOKALIKE} and not self.script_only
        large = self.line.height >= _LEGIBLE_PX and self.line.length >= _LEGIBLE_LENGTH
        return rejected and large and not self.line.upright


UNSURE = "low confidence"
PARTLY = "read only in part"
LOOKALIKE = "look-alike of another script"
NOTHING = "no word in it"


def judge(lines: Sequence[Line]) -> list[Judged]:
    """What of the lines of one photo is believed, in their order."""
    first = [_judge_line(line) for line in lines]
    words = [word for one in first for word in one.words]
    clear = _letters(words, "Latn", Kind.CLEAR)
    greek = _letters(words, "Grek", Kind.CLEAR) + 3 * sum(one.script_only for one in first)
    cyrillic = _letters(words, None, Kind.HOMOGLYPH)
    unread = sum(one.line.length for one in first if one.unread or _is_suspicious(one))
    read = sum(
        one.line.length
        for one in first
        if any(word.kind in {Kind.CLEAR, Kind.AMBIGUOUS} for word in one.words)
    )
    is_greek = greek >= max(cyrillic, 1)
    is_foreign = (cyrillic > 0 and 2 * cyrillic >= clear and not is_greek) or 2 * unread > read
    if unread <= 2 * read and any(one.script in {"Hani", "Jpan"} for one in first):
        # Han and kana are not written beside those scripts as Latin letters are.
        is_foreign = is_foreign and not _has_cjk_words(words)
    return [
        _settled(one, is_greek=is_greek, is_latin=clear >= 5, is_foreign=is_foreign)
        for one in first
    ]


def _judge_line(line: Line) -> Judged:
    line = replace(line, text=_XI.sub("Ξ", line.text))
    script = scripts.script_of(line.text)
    accented = line.confidence >= _ACCENTED_CONFIDENCE and _is_accented_language(line.text)
    unsure = (line.confidence < LEAST_CONFIDENCE and not accented) or not line.text.strip()
    if unsure or _has_gap(line):
        greek = _is_small_greek(line)
        rejected = UNSURE if unsure else PARTLY
        return Judged(line, "Grek" if greek else script, rejected=rejected, script_only=greek)
    words = tuple(word for match in _WORD.finditer(line.text) for word in _words(line, match))
    return Judged(line, script, words)


def _is_small_greek(line: Line) -> bool:
    """Whether letters that only small Greek ones are read as prevail.

    Two thirds of the small Greek words whose accented letters are passed over show it, and none
    of 1 300 words in scripts that the recogniser does not know.
    """
    letters = [c for c in line.text if c.isalpha()]
    small = [
        c
        for c, sure in zip(line.text, line.confidences, strict=True)
        if c in scripts.GREEK_ONLY and c.islower() and sure >= _LEAST_CHARACTER
    ]
    return len(small) >= max(3.0, 0.6 * len(letters)) and len(set(small)) >= 2


def _is_accented_language(text: str) -> bool:
    """Whether all words are known Latin ones of four letters or more, accents among them."""
    words = _WORD.findall(text)
    long = all(len(word) >= 4 for word in words)
    return bool(words) and long and not text.isascii() and all(map(_is_known_latin, words))


def _is_known_latin(word: str) -> bool:
    table = vocabulary()
    known = table.known(scripts.fold(word))
    return any(table.scripts[table.languages.index(code)] == "Latn" for code in known)


def _has_gap(line: Line) -> bool:
    """Whether part of the line was passed over."""
    edges = np.array([0.0, *line.centres, line.length])
    gaps = np.diff(edges)
    inner = gaps[1:-1]
    usual = float(np.median(inner)) if len(inner) else line.length / 2
    cjk = sum(scripts.script(c) in _CJK for c in line.text) * 2 > len(line.text)
    widest = _WIDEST_CJK_GAP if cjk else _WIDEST_GAP
    return bool(gaps.max() > max(widest, 1.6 * usual) or len(line.text.strip()) * 2 < line.length)


def _words(line: Line, match: re.Match[str]) -> list[Word]:
    """The parts of a word that are of one kind of script: runs of Han and kana, and the rest."""
    found: list[Word] = []
    start = match.start()
    while start < match.end():
        cjk = scripts.script(line.text[start]) in _CJK
        end = start
        while end < match.end() and (scripts.script(line.text[end]) in _CJK) == cjk:
            end += 1
        text, sure = line.text[start:end], line.confidences[start:end]
        confidence = float(np.mean(sure))
        least = _LEAST_CHARACTER if text.isascii() else _LEAST_ACCENTED
        if min(sure) < least:
            found.append(Word(text, scripts.script_of(text), Kind.IGNORED, confidence))
        elif cjk:
            kind = Kind.CLEAR if len(text) >= 2 else Kind.IGNORED
            found.append(Word(text, scripts.script_of(text), kind, confidence))
        else:
            found.append(Word(text, *_kind(text), confidence))
        start = end
    return found


def _kind(text: str) -> tuple[str, Kind]:
    """The script a word is in, and what it is."""
    table = vocabulary()
    shape = scripts.shape(text)
    cyrillic, greek = table.reads_as(shape, "Cyrl"), table.reads_as(shape, "Grek")
    written = {scripts.script(character) for character in text} - {""}
    if any(character.isdigit() for character in text):
        # А numeral is no word, but В3РЫВ with a Cyrillic З is.
        if not written or len(text) < 3 or not (cyrillic or greek):
            return "Zyyy", Kind.IGNORED
        return "Latn", Kind.HOMOGLYPH if cyrillic else Kind.GREEK_ALIKE
    if any(character in scripts.GREEK_ONLY for character in text):
        return "Grek", _greek_kind(text, cyrillic=cyrillic, greek=greek)
    if written != {"Latn"}:
        return scripts.script_of(text), Kind.IGNORED
    return "Latn", _latin_kind(text, cyrillic=cyrillic, greek=greek)


def _latin_kind(text: str, *, cyrillic: bool, greek: bool) -> Kind:
    folded = scripts.fold(text)
    known = _is_known_latin(text)
    alike = set(folded) <= scripts.LOOKALIKES
    if known:
        # Diacritics are no Cyrillic letter's reading, and Greek ones stand among Greek letters.
        doubtful = text.isascii() and (cyrillic or greek or (alike and len(folded) < 5))
        return Kind.AMBIGUOUS if doubtful else Kind.CLEAR
    if greek and not cyrillic:
        return Kind.GREEK_ALIKE
    if cyrillic or (alike and len(folded) >= 3):
        return Kind.HOMOGLYPH
    return Kind.UNKNOWN


def _greek_kind(text: str, *, cyrillic: bool, greek: bool) -> Kind:
    surely = sum(character in scripts.SURELY_GREEK for character in text)
    if greek and (surely or not cyrillic):
        return Kind.CLEAR
    if cyrillic:
        return Kind.HOMOGLYPH
    return Kind.UNKNOWN if surely >= 2 and len(text) >= 4 else Kind.IGNORED


def _settled(one: Judged, *, is_greek: bool, is_latin: bool, is_foreign: bool) -> Judged:
    """The line once the whole photo's text is known."""
    if one.rejected:
        return one
    words = tuple(_resolved(word, is_greek, is_latin, is_foreign) for word in one.words)
    believed = [word for word in words if word.kind in {Kind.CLEAR, Kind.UNKNOWN}]
    alike = [word for word in words if word.kind in {Kind.HOMOGLYPH, Kind.AMBIGUOUS}]
    rejected = "" if believed else (LOOKALIKE if alike else NOTHING)
    script = believed[0].script if believed else one.script
    return replace(one, words=words, rejected=rejected, script=script, alone=not is_foreign)


def _resolved(word: Word, is_greek: bool, is_latin: bool, is_foreign: bool) -> Word:
    """A word that might be of two scripts, made one of them where the photo's text settles it."""
    if word.kind not in {Kind.AMBIGUOUS, Kind.GREEK_ALIKE}:
        return word
    shape = scripts.shape(word.text)
    if is_greek and len(shape) >= 3 and vocabulary().reads_as(shape, "Grek"):
        return replace(word, script="Grek", kind=Kind.CLEAR)
    if word.kind is Kind.AMBIGUOUS:
        return replace(word, kind=Kind.CLEAR) if is_latin and not is_foreign else word
    if not is_latin and not is_foreign and len(word.text) >= 5:
        return replace(word, script="Grek", kind=Kind.CLEAR)
    return replace(word, kind=Kind.HOMOGLYPH)


def _is_suspicious(one: Judged) -> bool:
    """Whether a line is of no known word and mostly of letters with Cyrillic look-alikes."""
    if one.rejected or any(word.kind not in {Kind.UNKNOWN, Kind.IGNORED} for word in one.words):
        return False
    letters = [c for c in scripts.fold(one.line.text) if c.isalpha()]
    return sum(c in scripts.LOOKALIKES for c in letters) >= max(0.6 * len(letters), 3)


def _has_cjk_words(words: Sequence[Word]) -> bool:
    return any(
        word.kind is Kind.CLEAR and word.script in {"Hani", "Jpan"} and word.confidence > 0.95
        for word in words
    )


def _letters(words: Sequence[Word], script: str | None, kind: Kind) -> int:
    return sum(
        len(word.text)
        for word in words
        if word.kind is kind and len(word.text) >= 3 and script in {None, word.script}
    )
