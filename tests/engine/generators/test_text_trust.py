"""Which readings are believed, given what a recogniser was seen to make of signs."""

from __future__ import annotations

import numpy as np
import pytest

from geofix.engine.generators.text import trust
from geofix.engine.generators.text.lines import Line
from geofix.engine.generators.text.trust import Kind, judge


def line(text: str, confidence: float = 0.98, length: float | None = None) -> Line:
    """A line of evenly set characters."""
    length = 0.65 * len(text) + 0.3 if length is None else length
    centres = np.linspace(0.3, length - 0.3, len(text)) if text else np.zeros(0)
    return Line(
        text=text,
        confidences=(confidence,) * len(text),
        centres=tuple(float(x) for x in centres),
        length=length,
        height=40.0,
        box=((0.1, 0.1), (0.4, 0.1), (0.4, 0.2), (0.1, 0.2)),
    )


@pytest.mark.parametrize(
    "reading",
    [
        "MOCKBA", "PECTOPAH", "BOCTOK", "XAPbKOB", "AIITEKA", "METPO", "BAHK", "KACCA", "OMCK",
        "CTPAX", "3HATb", "B3PbIB", "KOHEL", "ΦAKTI", "CAMAPA", "COK", "TEATP", "POCTOB", "HOTA",
        "TOMCK", "KOCMOC", "PAHO", "COBCEM", "KPACHOM", "ПOЧTA",
    ],
)  # fmt: skip
def test_readings_of_cyrillic_words_are_rejected(reading: str) -> None:
    (judged,) = judge([line(reading)])
    assert judged.rejected in {trust.LOOKALIKE, trust.NOTHING}


@pytest.mark.parametrize(
    "text",
    [
        "BÄCKEREI", "Apotheke", "PHARMACIE", "Stationnement interdit", "Gyógyszertár", "Saída",
        "KRAKÓW", "Piekarnia", "Ristorante", "FARMACIA", "Rådhus", "PARKING", "Lekarna", "HAMBURG",
    ],
)  # fmt: skip
def test_latin_words_are_believed(text: str) -> None:
    (judged,) = judge([line(text)])
    assert not judged.rejected
    assert judged.script == "Latn"


@pytest.mark.parametrize("text", ["ΦAPMAKEIO", "ΘEΣΣAΛONIKH", "E三OΔOΣ", "AΘHNA", "MNHMH"])
def test_greek_read_with_latin_letters_is_greek(text: str) -> None:
    (judged,) = judge([line(text)])
    assert not judged.rejected
    assert judged.script == "Grek"
    assert judged.words[0].kind is Kind.CLEAR


def test_small_greek_letters_tell_the_script_without_a_word() -> None:
    (judged,) = judge([line("αρμακε", confidence=0.8)])
    assert judged.rejected == trust.UNSURE
    assert judged.script_only
    assert judged.script == "Grek"


@pytest.mark.parametrize("text", ["Apotheke", "東京駅"])
def test_unsure_and_partial_readings_are_rejected(text: str) -> None:
    assert judge([line(text, confidence=0.7)])[0].rejected == trust.UNSURE
    assert judge([line(text, length=4.0 * len(text))])[0].rejected == trust.PARTLY


def test_a_known_word_with_accents_may_be_less_sure() -> None:
    assert not judge([line("çıkış", confidence=0.75)])[0].rejected
    assert judge([line("qñaşv", confidence=0.75)])[0].rejected == trust.UNSURE


@pytest.mark.parametrize("text", ["CAFE", "MAKE", "BAR"])
def test_words_of_two_scripts_are_settled_by_the_rest_of_the_photo(text: str) -> None:
    assert judge([line(text)])[0].rejected == trust.LOOKALIKE
    assert not judge([line(text), line("Boulangerie")])[0].rejected
    assert judge([line(text), line("MOCKBA"), line("PECTOPAH")])[0].rejected == trust.LOOKALIKE


def test_beside_text_that_cannot_be_read_latin_words_tell_no_language() -> None:
    unread = line("oaxb", confidence=0.4, length=6.0)
    first, _ = judge([line("Coffee"), unread])
    assert not first.alone
    assert judge([line("Coffee shop and bakery"), line("xy", 0.3, 2.0)])[0].alone


def test_nothing_is_judged_of_nothing() -> None:
    assert judge([]) == []
    assert judge([line("")])[0].rejected == trust.UNSURE
