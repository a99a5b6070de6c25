from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from geofix.engine.types import Rule
from geofix.errors import GeofixError, InvalidCoordinate, InvalidOption
from service.locate.options import Options, from_strings
from service.locate.schemas import LocateRequest


def test_options_reach_the_engine() -> None:
    some_id = str(uuid.uuid4())
    options = from_strings(
        [
            ("gallery", "streets,default"),
            ("neighbours", "7"),
            ("generators", "text,attributes"),
            ("country", "fr"),
            ("country", "DE"),
            ("bbox", "170,-20,-170,-10"),
            ("polygon", "48.8,2.2;48.9,2.2;48.9,2.4"),
            ("radius", "48.85,2.35,25"),
            ("exclude", some_id),
            ("exclude_contributor", "ada"),
            ("rule", "g3-clean"),
            ("heatmap", "false"),
            ("candidates", "3"),
        ]
    ).engine(neighbours=50)
    assert options.galleries == ("streets", "default")
    assert options.neighbours == 7
    assert options.generators == ("text", "attributes")
    assert options.filter.countries == ("FR", "DE")
    assert options.filter.bbox == (170.0, -20.0, -170.0, -10.0)
    assert options.filter.polygon == ((48.8, 2.2), (48.9, 2.2), (48.9, 2.4))
    assert options.filter.circle == (48.85, 2.35, 25.0)
    assert options.filter.exclude_ids == (some_id,)
    assert options.filter.exclude_contributors == ("ada",)
    assert options.rule is Rule.G3_CLEAN
    assert not options.heatmap
    assert options.candidates == 3


def test_what_is_not_given_is_the_services_own() -> None:
    options = from_strings([]).engine(neighbours=42)
    assert options.neighbours == 42
    assert options.generators == ("auto",)
    assert not options.filter.restricts_place


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("neighbors", "5", "Did you mean 'neighbours'"),
        ("colour", "red", "Unknown option 'colour'"),
        ("neighbours", "0", "neighbours"),
        ("neighbours", "201", "neighbours"),
        ("neighbours", "many", "neighbours"),
        ("neighbours", "nan", "neighbours"),
        ("neighbours", "1_0", "no number"),
        ("radius", "1_0,2,5", "no number"),
        ("budget_s", "0", "budget_s"),
        ("candidates", "0", "candidates"),
        ("generators", "magic", "magic"),
        ("generators", "auto,text", "stand alone"),
        ("generators", "", "generators"),
        ("country", "France", "ISO 3166-1"),
        ("country", "QQ", "QQ"),
        ("bbox", "1,2,3", "bbox"),
        ("bbox", "1,2,3,x", "bbox"),
        ("bbox", "1,5,3,2", "west, south, east, north"),
        ("bbox", "nan,0,1,1", "bbox"),
        ("radius", "1,2", "radius"),
        ("radius", "1,2,0", "radius"),
        ("radius", "1,2,-5", "radius"),
        ("radius", "1,2,50000", "radius"),
        ("radius", "1,2,inf", "radius"),
        ("polygon", "1,2;3", "polygon"),
        ("exclude", "seven", "UUID"),
        ("heatmap", "perhaps", "heatmap"),
    ],
)
def test_a_wrong_option_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidOption, match=name) as caught:
        from_strings([(name, value)])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("radius", "91,0,5"),
        ("radius", "0,181,5"),
        ("bbox", "-181,0,0,1"),
        ("bbox", "0,-91,1,1"),
        ("bbox", "0,0,200,1"),
        ("polygon", "0,0;95,0;0,5"),
        ("polygon", "0,0;0,5"),
        ("polygon", "0,0;5,5;0,5;5,0"),
    ],
)
def test_a_coordinate_out_of_range_is_its_own_problem(name: str, value: str) -> None:
    with pytest.raises(InvalidCoordinate):
        from_strings([(name, value)])


def test_an_option_given_twice_is_refused_unless_it_takes_several() -> None:
    with pytest.raises(InvalidOption, match="twice"):
        from_strings([("neighbours", "5"), ("neighbours", "6")])
    assert from_strings([("gallery", "a"), ("gallery", "b")]).gallery == ("a", "b")


def test_json_is_read_strictly() -> None:
    body = '{"photo": "", "options": {"bbox": [0, 1, 2, 3.5], "country": ["FR"], "candidates": 2}}'
    options = LocateRequest.model_validate_json(body, strict=True).options
    assert options.bbox == (0.0, 1.0, 2.0, 3.5)
    assert options.country == ("FR",)
    for wrong in ('"neighbours": "5"', '"neighbours": true', '"bbox": ["1", "2", "3", "4"]',
                  '"heatmap": "yes"', '"country": [1]', '"radius": [0, 0, NaN]'):  # fmt: skip
        with pytest.raises(ValidationError):
            LocateRequest.model_validate_json(
                f'{{"photo": "", "options": {{{wrong}}}}}', strict=True
            )


_DEGREES = st.floats(-90, 90, allow_nan=False)


@given(
    circle=st.none() | st.tuples(_DEGREES, _DEGREES, st.floats(0.001, 20_000)),
    neighbours=st.none() | st.integers(1, 200),
    countries=st.lists(st.sampled_from(["FR", "DE", "JP"]), max_size=3, unique=True),
    heatmap=st.booleans(),
)
def test_options_survive_the_way_through_a_form(
    circle: tuple[float, float, float] | None,
    neighbours: int | None,
    countries: list[str],
    heatmap: bool,
) -> None:
    given_options = {
        "radius": circle,
        "neighbours": neighbours,
        "country": tuple(countries),
        "heatmap": heatmap,
    }
    options = Options.model_validate({k: v for k, v in given_options.items() if v is not None})
    assert from_strings([*options.strings().items()]) == options


@given(st.lists(st.tuples(st.sampled_from([*Options.model_fields, "x"]), st.text()), max_size=4))
def test_whatever_is_sent_is_understood_or_refused_on_purpose(
    pairs: list[tuple[str, str]],
) -> None:
    with contextlib.suppress(GeofixError):
        from_strings(pairs)
