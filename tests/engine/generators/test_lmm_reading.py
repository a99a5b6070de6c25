"""Whatever a language model writes is a legal position with its provenance, or counted away."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geofix.engine.generators.lmm.chat import chat_answer
from geofix.engine.generators.lmm.degrees import normalise
from geofix.engine.generators.lmm.reading import Guess, Rejection, read

PARIS = (48.8566, 2.3522)
SYDNEY = (-33.8688, 151.2093)


class Sides:
    """A map of two countries: one west and one east of 20° E."""

    def lies_in(self, lat: float, lon: float, country: str) -> bool:
        return country == ("West" if lon < 20.0 else "East")


WRITTEN: dict[str, tuple[float, float]] = {
    # JSON
    '{"latitude": 48.8566, "longitude": 2.3522}': PARIS,
    '```json\n{"lat": 48.8566, "lon": 2.3522}\n```': PARIS,
    '{"lat": "48.8566", "lng": "2.3522"}': PARIS,
    '{"lat": "48.8566° N", "lon": "2.3522° E"}': PARIS,
    '{"lat": "48,8566", "lon": "2,3522"}': PARIS,
    '{"predictedLatitude": 48.8566, "predictedLongitude": 2.3522}': PARIS,
    '{"answer": {"location": {"latitude": 48.8566, "longitude": 2.3522}}}': PARIS,
    '{"references": [{"lat": 1, "lon": 2}], "answer": {"lat": 48.8566, "lon": 2.3522}}': PARIS,
    '{"geometry": {"type": "Point", "coordinates": [2.3522, 48.8566]}}': PARIS,
    '[{"lat": 48.8566, "lon": 2.3522}, {"lat": 45.76, "lon": 4.83}]': PARIS,
    '{"lat": 1.5, "lon": 2.5}\nOn reflection:\n{"lat": 48.8566, "lon": 2.3522}': PARIS,
    '{"lat": 48.8566, "lon": 2.3522}\n{"lat": 95.0, "lon": 500.0}': PARIS,
    '{"latitude": {"degrees": 33, "minutes": 52, "seconds": 7.68, "direction": "S"}, '
    '"longitude": {"degrees": 151, "minutes": 12, "seconds": 33.48, "direction": "E"}}': SYDNEY,
    '{"answer": "{\\"lat\\": 48.8566, \\"lon\\": 2.3522}"}': PARIS,
    # broken JSON
    '{"lat": 48,8566, "lon": 2,3522}': PARIS,
    '{"lat": −33.8688, "lon": 151.2093}': SYDNEY,
    '{"latitude": -33.8688, "longitude": 151.2093}': SYDNEY,
    "{'lat': 48.8566, 'lon': 2.3522,}": PARIS,
    "{lat: 48.8566, lng: 2.3522}": PARIS,
    '{"lat": 48.8566, "lon": 2.3522, "reasoning": "The sign on the': PARIS,
    # text
    "**Latitude:** 48.8566\n**Longitude:** 2.3522": PARIS,
    "The latitude is approximately 48.8566° and the longitude of 2.3522°.": PARIS,
    "纬度:48.8566,经度:2.3522": PARIS,
    "33.8688 S, 151.2093 E": SYDNEY,
    "S33.8688 E151.2093": SYDNEY,
    "33°52'7.68\"S 151°12'33.48\"E": SYDNEY,
    "33° 52′ 7.68″ S, 151° 12′ 33.48″ E": SYDNEY,
    "33.8688 degrees south, 151.2093 degrees east": SYDNEY,
    "Probably Paris (48.8566, 2.3522), France.": PARIS,
    "48.8566, 2.3522": PARIS,
    "48.8566,2.3522": PARIS,
    "48,8566; 2,3522": PARIS,
    "48,8566, 2,3522": PARIS,
    "48,8566 e 2,3522": PARIS,
    "48.8566 N, 2.3522 E (35 m above the sea)": PARIS,
    "48.8566, 2.3522, 35.0": PARIS,
    "-33.8688 151.2093": SYDNEY,
    "٤٨.٨٥٦٦, ٢.٣٥٢٢": PARIS,
    "48, 2.35": (48.0, 2.35),
    "48, 2": (48.0, 2.0),
    "48,2": (48.0, 2.0),
    "(48,2)": (48.0, 2.0),
    '{"lat": 48, "lon": 2}': (48.0, 2.0),
    '{"lat": 4.8e1, "lon": 2e0}': (48.0, 2.0),
    # thinking
    "<think>Perhaps 1.5, 2.5?</think>48.8566, 2.3522": PARIS,
    '<thinking>{"lat": 1, "lon": 2}</thinking>\n{"lat": 48.8566, "lon": 2.3522}': PARIS,
    "<|channel|>analysis<|message|>12.5, 13.5<|channel|>final<|message|>48.8566, 2.3522": PARIS,
    # edges
    '{"lat": 90, "lon": 180}': (90.0, -180.0),
    '{"lat": 0, "lon": 100.5}': (0.0, 100.5),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_positions_are_read_however_they_are_written(text: str) -> None:
    guess = read(text)
    assert isinstance(guess, Guess), guess
    assert (guess.lat, guess.lon) == pytest.approx(WRITTEN[text], abs=1e-9)
    assert not guess.swapped


REJECTED: dict[str, Rejection] = {
    "": Rejection.EMPTY,
    " \n\t": Rejection.EMPTY,
    "I'm sorry, but I can't determine where this was taken.": Rejection.REFUSAL,
    "It looks like a street somewhere.": Rejection.NO_COORDINATES,
    '{"lat": null, "lon": null}': Rejection.NO_COORDINATES,
    '{"lat": true, "lon": false}': Rejection.NO_COORDINATES,
    '{"lat": [48], "lon": {"x": 2}}': Rejection.NO_COORDINATES,
    "12 cars, 15 people and 3 dogs": Rejection.NO_COORDINATES,
    "48.85.1, 2.35": Rejection.NO_COORDINATES,
    '{"latitude": <latitude in degrees>, "longitude": <longitude>}': Rejection.TEMPLATE_ECHO,
    '{"latitude": "<latitude in decimal degrees>", "longitude": 2.3}': Rejection.TEMPLATE_ECHO,
    '{"lat": 0.0, "lon": 0.0}': Rejection.NULL_ISLAND,
    '{"lat": "0° N", "lon": "0° E"}': Rejection.NULL_ISLAND,
    "0, 0": Rejection.NULL_ISLAND,
    '{"lat": 1e-9, "lon": -0.0}': Rejection.NULL_ISLAND,
    '{"lat": 91, "lon": 181}': Rejection.OUT_OF_RANGE,
    '{"lat": 200.5, "lon": 300}': Rejection.OUT_OF_RANGE,
    '{"lat": "95 N", "lon": "20 E"}': Rejection.OUT_OF_RANGE,
    '{"lat": NaN, "lon": 2}': Rejection.NOT_FINITE,
    '{"lat": Infinity, "lon": -Infinity}': Rejection.NOT_FINITE,
    '{"lat": "nan", "lon": "inf"}': Rejection.NOT_FINITE,
    '{lat: nan, lon: 2}': Rejection.NOT_FINITE,
    '{"lat": 1e999, "lon": 2}': Rejection.NOT_FINITE,
    '{"lat": ' + "9" * 5000 + ', "lon": 2}': Rejection.NOT_FINITE,
    '{"country": "JP", "lat": 35.6, "lon": 139.': Rejection.UNFINISHED,
    '{"country": "JP", "lat": 35.6, "lon": 13': Rejection.UNFINISHED,
    "<think>It may be 48.8566, 2.3522 or": Rejection.UNFINISHED,
}  # fmt: skip


@pytest.mark.parametrize("text", REJECTED)
def test_what_is_no_position_is_rejected_with_a_reason(text: str) -> None:
    assert read(text) is REJECTED[text]


def test_a_number_cut_off_by_the_server_is_not_trusted() -> None:
    assert read("35.68, 13", finished=False) is Rejection.UNFINISHED
    assert isinstance(read("35.68, 13", finished=True), Guess)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"lat": 139.69, "lon": 35.68}', (35.68, 139.69)),
        ("lat: -118.24, lon: 34.05", (34.05, -118.24)),
        ("(151.2093, -33.8688)", SYDNEY),
        ('{"lat": "2.3522 E", "lon": "48.8566 N"}', PARIS),
        ("2.3522° E, 48.8566° N", PARIS),
    ],
)
def test_a_swapped_pair_is_put_right_where_one_order_is_legal(
    text: str, place: tuple[float, float]
) -> None:
    guess = read(text)
    assert isinstance(guess, Guess)
    assert (guess.lat, guess.lon) == pytest.approx(place)
    assert guess.swapped


@pytest.mark.parametrize(
    ("country", "swapped"), [("West", False), ("East", True), ("", False), ("Nowhere", False)]
)
def test_the_country_named_settles_the_order(country: str, swapped: bool) -> None:
    text = json.dumps({"country": country, "lat": 48.8566, "lon": 2.3522})
    guess = read(text, atlas=Sides())
    assert isinstance(guess, Guess)
    assert guess.swapped is swapped
    assert guess.lat == (2.3522 if swapped else 48.8566)
    labelled = read(f"Country: {country}. Latitude: 48.8566, longitude: 2.3522", atlas=Sides())
    assert isinstance(labelled, Guess)
    assert labelled.swapped is swapped


@pytest.mark.parametrize(
    ("stated", "confidence"),
    [
        (0.7, 0.7),
        (85, 0.85),
        ("85%", 0.85),
        ("0.9", 0.9),
        ("0,5 %", 0.005),
        (math.nan, None),
        (-3, None),
        (1e9, None),
        ("high", None),
        (True, None),
        ([1], None),
    ],
)
def test_confidence_is_a_share_or_nothing(stated: object, confidence: float | None) -> None:
    guess = read(json.dumps({"lat": 1.5, "lon": 2.5, "confidence": stated}))
    assert isinstance(guess, Guess)
    assert guess.confidence == (None if confidence is None else pytest.approx(confidence))


def test_names_are_one_short_printable_line() -> None:
    guess = read(json.dumps({"lat": 1.5, "lon": 2.5, "place": "A\n\x1b[31mB" + "c" * 500}))
    assert isinstance(guess, Guess)
    assert guess.place.isprintable()
    assert len(guess.place) <= 80


# --- properties -------------------------------------------------------------------------------

_PIECES = st.sampled_from([
    *"{}[]\":,;.-+−°'″NSEW4", "lat", "lon", "latitude", "longitude", "country", "null", "NaN",
    "Infinity", "0", "0.0", "48.85", "2,35", "139", "-33.9", "1e400", "999999999999",
    "<latitude>", "<think>", "</think>", "```", "json", "纬度",
])  # fmt: skip
_NOISE = st.one_of(
    st.text(max_size=200),
    st.lists(st.one_of(_PIECES, st.just(" ")), max_size=60).map("".join),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["lat", "lon", "answer", "type", "coordinates"]), inner
            )
        ),
        max_leaves=8,
    ).map(json.dumps),
    st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)


def _assert_sane(reading: Guess | Rejection) -> None:
    if isinstance(reading, Rejection):
        return
    assert -90.0 <= reading.lat <= 90.0
    assert -180.0 <= reading.lon < 180.0
    assert (reading.lat, reading.lon) != (0.0, 0.0)
    assert reading.notation in ("json", "labelled", "hemispheres", "pair")
    assert reading.confidence is None or 0.0 <= reading.confidence <= 1.0


@settings(max_examples=500)
@given(_NOISE, st.sampled_from([None, True, False]))
@example('{"lat": 1e308, "lon": -1e308}', None)
@example("9" * 5000 + ", 1", None)
@example("²³, ½", None)
@example('{"lat": "0x10", "lon": "1_0"}', None)
def test_any_text_gives_a_legal_position_or_a_rejection(text: str, finished: bool | None) -> None:
    _assert_sane(read(text, finished=finished, atlas=Sides()))


@settings(max_examples=500)
@given(st.binary(max_size=300) | _NOISE.map(lambda text: text.encode("utf-8", "surrogateescape")))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    answer = chat_answer(body)
    assert answer is None or answer.generations


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "text", "usage", "prompt_tokens", "refusal"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_body_gives_readable_generations(body: object) -> None:
    answer = chat_answer(json.dumps({"choices": [body, {"message": body}], "usage": body}).encode())
    assert answer is not None
    for generation in answer.generations:
        _assert_sane(read(generation.text, finished=generation.finished))
    assert answer.tokens_in is None or answer.tokens_in >= 0


@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.sampled_from(['{{"lat": {}, "lon": {}}}', "latitude: {}, longitude: {}", "({}, {})"]),
)
def test_legal_positions_survive(lat: float, lon: float, form: str) -> None:
    lat, lon = round(lat, 5), round(lon, 5)
    reading = read(form.format(f"{lat:.5f}", f"{lon:.5f}"))
    if abs(lat) < 0.01 and abs(lon) < 0.01:
        assert reading is Rejection.NULL_ISLAND
    else:
        assert isinstance(reading, Guess)
        assert reading.lat == lat
        assert reading.lon == (-180.0 if lon == 180.0 else lon)


@given(st.text(max_size=300))
def test_normalising_is_done_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    "piece",
    ["{", "[", '{"a":', " ", "9", "1 ", "1.1, ", "lat ", "lat:", "N ", "48°", "48° 5' ", "<",
     "<think>", "country:", "1e1", "lat is ", "-", "ﷺ", "{}", "<latitude", "1,", "1,1", "lat("],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    started = time.perf_counter()
    _assert_sane(read(piece * (1_000_000 // len(piece))))
    assert time.perf_counter() - started < 2.0
