"""Which scripts can be read is the model's word; which letters are drawn alike was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofix.engine.generators.text import ocr, scripts


def test_the_scripts_that_can_be_read_are_those_the_model_has_letters_of() -> None:
    known = scripts.scripts_written(ocr.readable_characters())
    assert {"Latn", "Grek", "Hani", "Hira", "Kana"} <= known
    assert not known & {"Cyrl", "Hang", "Arab", "Hebr", "Deva", "Thai", "Armn", "Geor", "Beng"}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Bäckerei", "Latn"), ("ΑΘΗΝΑ", "Grek"), ("Аптека", "Cyrl"), ("東京", "Hani"),
        ("東京タワー", "Jpan"), ("서울", "Hang"), ("القاهرة", "Arab"), ("חיפה", "Hebr"),
        ("दिल्ली", "Deva"), ("ภูเก็ต", "Thai"), ("2019/06/12", "Zyyy"), ("", "Zyyy"),
    ],
)  # fmt: skip
def test_script_of(text: str, script: str) -> None:
    assert scripts.script_of(text) == script


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("МОСКВА", "MOCKBA"), ("РЕСТОРАН", "PECTOPAH"), ("ВОСТОК", "BOCTOK"),
        ("АПТЕКА", "AIITEKA"), ("АПТЕКА", "ANTEKA"), ("Харьков", "XAPbKOB"), ("ВЗРЫВ", "B3PbIB"),
        ("КОНЕЦ", "KOHEL"), ("ФАКТЫ", "ΦAKTI"), ("ΑΘΗΝΑ", "AOHNA"), ("ΑΘΗΝΑ", "A0HNA"),
        ("ΕΞΟΔΟΣ", "EEOΔOΣ"), ("ΠΕΙΡΑΙΑΣ", "ΠEIPAIAΣ"), ("κρεοπωλείο", "κρεοπωλείο"),
    ],
)  # fmt: skip
def test_a_word_has_the_shape_of_its_readings(written: str, read: str) -> None:
    assert scripts.shape(read) in scripts.shapes(written)


@given(st.text(alphabet="абвгдежзийклмнопрстуфхцчшщъыьэюяαβγδεζηθικλμνξοπρστυφχψω", max_size=40))
def test_shapes_are_few_and_told_apart(word: str) -> None:
    found = scripts.shapes(word)
    assert 1 <= len(found) <= 10
    assert len(set(found)) == len(found)


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert scripts.fold(scripts.fold(text)) == scripts.fold(text)
    assert 0 <= scripts.key(text) < 2**32
