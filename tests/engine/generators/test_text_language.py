"""From words to languages to countries, and the clues that name a country outright."""

from __future__ import annotations

import numpy as np
import pytest

from geofix.engine.generators.text import clues, language, scripts
from geofix.engine.generators.text.language import CAP, Evidence, countries, spelled, written
from geofix.engine.generators.text.words import vocabulary

SIGNS = [
    ("de", "DE", "Metzgerei"), ("de", "AT", "Einbahnstraße"), ("de", "CH", "Bäckerei Huber"),
    ("pl", "PL", "Sklep spożywczy"), ("cs", "CZ", "Lékárna"), ("sk", "SK", "Lekáreň"),
    ("hu", "HU", "Gyógyszertár"), ("tr", "TR", "Eczane"), ("tr", "TR", "FIRIN"),
    ("pt", "BR", "Padaria"), ("pt", "PT", "Talho"), ("fr", "FR", "Boulangerie"),
    ("es", "MX", "Panadería"), ("it", "IT", "Tabacchi"), ("ro", "RO", "Brutărie"),
    ("nl", "NL", "Bakkerij"), ("sv", "SE", "Utfart"), ("nb", "NO", "Utkjøring"),
    ("da", "DK", "Udkørsel"), ("fi", "FI", "Apteekki"), ("is", "IS", "Önnur leið"),
    ("lt", "LT", "Vaistinė"), ("lv", "LV", "Aptieka"), ("et", "EE", "Kohvik"),
    ("hr", "HR", "Ljekarna"), ("vi", "VN", "Nhà thuốc"), ("ca", "AD", "Farmàcia"),
]  # fmt: skip


def said(text: str) -> Evidence:
    return spelled([scripts.fold(word) for word in text.split()], "Latn", 0.99)


def weights(*lines: Evidence) -> dict[str, float]:
    capped = language.capped(language.log_ratios(lines))
    return dict(zip(countries().codes, capped.tolist(), strict=True))


@pytest.mark.parametrize(("code", "country", "text"), SIGNS)
def test_words_on_signs_tell_language_and_country(code: str, country: str, text: str) -> None:
    evidence = said(text)
    assert evidence.language == code
    found = weights(evidence)
    assert found[country] > 1.5
    assert found["CN"] < 0
    assert sum(weight > found[country] + 1.5 for weight in found.values()) == 0


def test_english_says_little_for_it_is_written_everywhere() -> None:
    found = weights(said("Coffee shop"))
    assert 0 < found["GB"] < 1.5
    assert found["DE"] > -1.5


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("JP", "薬局"), ("JP", "居酒屋"), ("JP", "ラーメン"), ("JP", "止まれ"), ("JP", "渋谷"),
        ("CN", "餐厅"), ("CN", "中国银行"), ("CN", "停车场"), ("TW", "臺北車站"), ("TW", "藥局"),
        ("HK", "藥局"),
    ],
)  # fmt: skip
def test_forms_of_characters_tell_where_they_are_written(country: str, text: str) -> None:
    found = weights(written(text, 0.99))
    assert sorted(found, key=lambda code: -found[code]).index(country) < 4
    assert found["IN"] < 0


@pytest.mark.parametrize("text", ["叫司", "刘习", "川合", "ユ引", "品", "舎せ"])
def test_characters_that_form_no_known_word_say_nothing(text: str) -> None:
    assert written(text, 0.85).reliability == 0


@pytest.mark.parametrize("brand", ["Starbucks", "Shell", "Toyota"])
def test_brands_of_the_world_say_next_to_nothing(brand: str) -> None:
    assert max(weights(said(brand)).values()) < 0.6


def test_no_amount_of_text_exceeds_the_cap() -> None:
    found = weights(*[said(text) for code, _, text in SIGNS if code == "de"] * 5)
    assert max(found.values()) == CAP
    assert min(found.values()) >= -CAP
    assert all(np.isfinite(list(found.values())))


def test_unknown_words_and_unsure_single_words_say_nothing() -> None:
    assert said("Xqzrtv").reliability == 0
    assert spelled(["apotheke"], "Latn", 0.86).reliability == 0


def test_every_country_writes_in_something() -> None:
    table = countries()
    assert len(table.codes) > 240
    assert np.allclose(table.mixture.sum(axis=1), 1)
    assert table.mixture.min() > 0


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("www.muster.de", "DE"), ("info@loja.com.br", "BR"), ("shop.co.jp", "JP"),
        ("Tel. +49 711 123456", "DE"), ("+351 21 342 1234", "PT"), ("0048 22 123 45 67", "PL"),
        ("12,90 zł", "PL"), ("R$ 15", "BR"), ("199 Kč", "CZ"), ("1200円", "JP"),
        ("Österreich", "AT"), ("Polska", "PL"), ("Ελλάδα", "GR"), ("Pingo Doce", "PT"),
    ],
)  # fmt: skip
def test_clues_name_a_country(text: str, country: str) -> None:
    found = clues.log_ratios(text, 0.99, words=True)
    assert countries().codes[int(np.argmax(found))] == country
    assert found.max() > 2


@pytest.mark.parametrize(
    "text",
    ["youtu.be", "twitch.tv", "open.io", "12:30", "2019-06-12", "+49", "10.5 km",
     "China Restaurant", "Apotheke", "Sale", "0711 123456"],
)  # fmt: skip
def test_what_looks_like_a_clue_is_none(text: str) -> None:
    assert not clues.log_ratios(text, 0.99, words=True).any()


def test_unsure_clues_are_none() -> None:
    assert not clues.log_ratios("www.muster.de", 0.9, words=True).any()
    assert not clues.log_ratios("Polska", 0.99, words=False).any()


def test_finnish_and_filipino_are_not_taken_together() -> None:
    languages = vocabulary().languages
    likelihood = np.full(len(languages), -np.inf)
    likelihood[languages.index("fi")], likelihood[languages.index("fil")] = 0.0, -0.1
    assert Evidence(likelihood, 1.0).language == ""
    likelihood[languages.index("fil")] = -5.0
    assert Evidence(likelihood, 1.0).language == "fi"
