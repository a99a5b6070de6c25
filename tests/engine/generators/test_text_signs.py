"""Whole photos with signs: the country comes up, the place is named, nothing is guessed."""

from __future__ import annotations

import socket
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from geofix.engine.generators.text import TextGenerator
from geofix.engine.generators.text.tesseract import Tesseract
from geofix.engine.types import Channel, Filter, Proposal, UInt8Array

Sign = Callable[..., UInt8Array]
Propose = Callable[..., Proposal]
Ranking = Callable[[Proposal], list[str]]

LEGIBLE = [
    ("DE", "sans", ["Bäckerei Müller", "Ausfahrt freihalten"], ""),
    ("DE", "serif", ["APOTHEKE"], ""),
    ("DE", "sans", ["42 Hamburg"], "Hamburg"),
    ("PL", "sans", ["Apteka", "Kraków"], "Kraków"),
    ("CZ", "serif", ["Lékárna", "Potraviny"], ""),
    ("PT", "sans", ["Saída", "Coimbra"], "Coimbra"),
    ("FR", "serif", ["Boulangerie", "Pâtisserie"], ""),
    ("FR", "sans", ["Toutes directions", "Lyon"], "Lyon"),
    ("TR", "sans", ["Eczane"], ""),
    ("HU", "italic", ["Gyógyszertár"], ""),
    ("IS", "sans", ["Önnur leið"], ""),
    ("GR", "sans", ["ΘΕΣΣΑΛΟΝΙΚΗ", "ΕΞΟΔΟΣ"], "Thessaloníki"),
    ("GR", "serif", ["ΦΑΡΜΑΚΕΙΟ"], ""),
    ("GR", "sans", ["ΑΘΗΝΑ"], "Athens"),
    ("CN", "simplified", ["中国银行", "停车场"], ""),
    ("CN", "simplified", ["北京路"], "Beijing"),
    ("TW", "traditional", ["藥局", "停車場"], ""),
    ("JP", "japanese", ["ラーメン", "居酒屋"], ""),
    ("JP", "japanese", ["大阪駅"], "Osaka"),
    ("ES", "sans", ["Farmacia", "Sevilla"], "Sevill"),
    ("GB", "sans", ["Manchester Piccadilly"], "Manchester"),
]


@pytest.mark.parametrize(("country", "font", "lines", "place"), LEGIBLE)
def test_a_legible_sign_brings_its_country_to_the_top_three_and_names_the_place(
    sign: Sign, propose: Propose, ranking: Ranking, generator: TextGenerator,
    country: str, font: str, lines: list[str], place: str,
) -> None:  # fmt: skip
    proposal = propose(generator, sign(lines, font))
    assert country in ranking(proposal)[:3]
    if place:
        assert any(place in candidate.name for candidate in proposal.candidates)


def test_a_vertical_japanese_sign_is_read(
    sign: Sign, propose: Propose, generator: TextGenerator
) -> None:
    proposal = propose(generator, sign(["居酒屋"], "japanese", upright=True))
    assert [clue.text for clue in proposal.text if not clue.rejected] == ["居酒屋"]
    assert max(proposal.countries, key=lambda code: proposal.countries[code]) == "JP"


UNREADABLE = {
    ("RU", "sans"): """
        МОСКВА РЕСТОРАН ВОСТОК Аптека Кафе Продукты МЕТРО СТОП Хлеб БАНК ВХОД ТЕАТР
        КАССА СОК КОРМ ТАБАК ХОСТЕЛ ОТЕЛЬ КОФЕ МОСТ ТОРТ МАРКЕТ КОСМОС""",
    ("UA", "serif"): "ХАРКІВ Одеса ЛЬВІВ ПЕРУКАРНЯ МАГАЗИН ВХІД Ресторан Центр",
    ("RS", "sans"): "БЕОГРАД АПОТЕКА ПЕКАРА БАНКА КАСА МЕСАРА УЛАЗ Ниш",
    ("KR", "korean"): """
        서울 부산역 약국 주차금지 편의점 노래방 커피 은행 병원 미용실 치킨 식당 화장실
        출입금지 경찰서 인천공항 강남구 부동산 우체국 세탁소 안경""",
    ("EG", "arabic"): """
        القاهرة صيدلية مطعم قف الرياض مدرسة بنك فندق مستشفى دبي مخبز مسجد سوق محطة
        خروج دخول جامعة مقهى عمان شارع الإسكندرية""",
    ("IL", "hebrew"): """
        ירושלים חיפה עצור מסעדה יציאה כניסה מכולת חניה אילת תחנה נתניה משטרה פיצה
        רחוב בנק שוק דואר קפה מרקחת בית נהריה""",
    ("IN", "devanagari"): """
        दिल्ली मुंबई दवाखाना बैंक भोजनालय विद्यालय नमस्ते होटल जयपुर वाराणसी अस्पताल
        मंदिर मिठाई लखनऊ पुलिस शौचालय बाजार भारत कानपुर दुकान सड़क""",
    ("TH", "thai"): """
        กรุงเทพ ร้านอาหาร เชียงใหม่ ธนาคาร โรงแรม หยุด โรงพยาบาล ตลาด ร้านยา ภูเก็ต
        ถนน ซอย วัด ห้องน้ำ ทางออก กาแฟ ตำรวจ สถานี รถไฟ สนามบิน จอด""",
}


@pytest.mark.parametrize(("country", "font"), UNREADABLE)
def test_what_cannot_be_read_never_lowers_the_true_country(
    sign: Sign, propose: Propose, ranking: Ranking, ranking_without: list[str],
    generator: TextGenerator, country: str, font: str,
) -> None:  # fmt: skip
    without = ranking_without.index(country)
    for word in UNREADABLE[country, font].split():
        proposal = propose(generator, sign([word], font))
        if proposal.countries or proposal.candidates:
            assert ranking(proposal).index(country) <= without, (word, proposal.text)


@pytest.mark.parametrize("lines", [["КОФЕ", "COFFEE"], ["ОТЕЛЬ", "HOTEL"], ["ВЫХОД", "EXIT"]])
def test_latin_words_beside_cyrillic_ones_say_nothing_of_the_language(
    sign: Sign, propose: Propose, generator: TextGenerator, lines: list[str]
) -> None:
    proposal = propose(generator, sign(lines, "sans"))
    assert not proposal.countries
    assert not proposal.candidates


def test_homoglyph_readings_are_shown_as_rejected(
    sign: Sign, propose: Propose, generator: TextGenerator
) -> None:
    read = propose(generator, sign(["МОСКВА"], "sans")).text
    (clue,) = [clue for clue in read if clue.confidence > 0.9]
    assert clue.text == "MOCKBA"
    assert clue.confidence > 0.95
    assert clue.rejected == "look-alike of another script"
    assert not clue.places


def test_mirrored_text_names_nothing(
    sign: Sign, propose: Propose, generator: TextGenerator
) -> None:
    for lines in (["Bäckerei Müller"], ["COIMBRA"], ["PIZZERIA ROMA"]):
        mirrored = np.ascontiguousarray(sign(lines, "sans")[:, ::-1])
        proposal = propose(generator, mirrored)
        assert not proposal.countries
        assert not proposal.candidates


@pytest.mark.parametrize(
    "printed", ["2019/06/12 14:33:02", "N48.7712 E9.1684 055km/h", "VIOFO A129"]
)
def test_what_a_camera_prints_is_no_position(
    sign: Sign, propose: Propose, generator: TextGenerator, printed: str
) -> None:
    proposal = propose(generator, sign([printed], "sans"))
    assert not proposal.candidates
    assert not proposal.countries


def test_a_photo_without_text_says_nothing(propose: Propose, generator: TextGenerator) -> None:
    assert propose(generator, np.full((480, 640, 3), 127, np.uint8)) == Proposal(Channel.TEXT)


@pytest.mark.parametrize("shape", [(1, 1), (2000, 3), (3, 2000), (16, 16)])
def test_any_shape_of_photo_is_survived(
    propose: Propose, generator: TextGenerator, shape: tuple[int, int]
) -> None:
    assert not propose(generator, np.zeros((*shape, 3), np.uint8)).candidates


def test_boxes_are_shares_of_the_photo(
    sign: Sign, propose: Propose, generator: TextGenerator
) -> None:
    large = np.repeat(np.repeat(sign(["Apotheke"], "sans"), 3, axis=0), 3, axis=1)
    (clue,) = [clue for clue in propose(generator, large).text if not clue.rejected]
    (left, top), (right, _), (_, bottom), _ = clue.box
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert clue.script == "Latn"
    assert clue.language == "de"


def test_only_places_in_the_wanted_countries_are_named(
    sign: Sign, propose: Propose, generator: TextGenerator
) -> None:
    photo = sign(["Valencia"], "sans")
    names = {c.name for c in propose(generator, photo, Filter(countries=("VE",))).candidates}
    anywhere = propose(generator, photo).candidates
    assert names == {"Valencia"}
    assert len({(round(c.lat), round(c.lon)) for c in anywhere}) >= 2
    assert sum(c.score for c in anywhere if c.name == "Valencia") <= 1.0


def test_reading_needs_no_network_and_prints_nothing(
    sign: Sign, propose: Propose, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> NoReturn:
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    photo = sign(["Apotheke"], "sans")
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proposal = propose(TextGenerator(budget_s=8, tesseract=""), photo)
    assert proposal.countries["DE"] > 2
    assert capfd.readouterr() == ("", "")


class TestSecondReader:
    """Tesseract, where it is installed."""

    SIGNS = (
        ("RU", "sans", ["АПТЕКА", "МОСКВА"]),
        ("KR", "korean", ["서울역"]),
        ("IL", "hebrew", ["בית מרקחת"]),
        ("IN", "devanagari", ["रेलवे स्टेशन"]),
    )

    @pytest.mark.tools
    @pytest.mark.parametrize(("country", "font", "lines"), SIGNS)
    def test_it_reads_what_the_first_cannot(
        self, sign: Sign, propose: Propose, ranking: Ranking, ranking_without: list[str],
        country: str, font: str, lines: list[str],
    ) -> None:  # fmt: skip
        script = {"RU": "Cyrl", "KR": "Hang", "IL": "Hebr", "IN": "Deva"}[country]
        assert script in Tesseract().scripts, "install Tesseract and its packs: make test-ops"
        proposal = propose(TextGenerator(budget_s=60), sign(lines, font))
        assert any(clue.script == script and not clue.rejected for clue in proposal.text)
        rank = ranking(proposal).index(country)
        assert rank < max(ranking_without.index(country), 1)

    def test_a_second_reader_that_hangs_costs_its_readings_only(
        self, sign: Sign, propose: Propose, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        command = tmp_path_factory.mktemp("bin") / "tesseract"
        command.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = --list-langs ]; then printf "List of languages (1):\\nrus\\n"; exit; fi\n'
            "exec sleep 60\n"
        )
        command.chmod(0o755)
        generator = TextGenerator(budget_s=4, tesseract=str(command))
        started = time.monotonic()
        proposal = propose(generator, sign(["МОСКВА"], "sans"))
        assert time.monotonic() - started < 30
        assert not proposal.countries

    @pytest.mark.parametrize("command", ["", "/nonexistent/tesseract"])
    def test_without_it_there_are_no_scripts(self, command: str) -> None:
        assert Tesseract(command).scripts == {}

    def test_one_that_fails_is_told_to_the_operator(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        command = tmp_path / "tesseract"
        command.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = --list-langs ]; then printf "List of languages (1):\\nrus\\n"; exit; fi\n'
            "exit 3\n"
        )
        command.chmod(0o755)
        second = Tesseract(str(command))
        crop = np.full((40, 200, 3), 255, np.uint8)
        assert second.read([crop], ["Cyrl"], time.monotonic() + 30) == [[]]
        assert "could not read Cyrl: exit status 3" in caplog.text
        command.write_text("#!/bin/sh\nexit 4\n")
        assert Tesseract(str(command)).scripts == {}
        assert "exit status 4" in caplog.text
        assert str(tmp_path) not in caplog.text
