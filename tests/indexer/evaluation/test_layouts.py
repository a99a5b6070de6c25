"""Published sets, each as a small file in exactly the layout in which it is published."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from geofix.errors import InvalidSource
from indexer.evaluation.datasets import Truth
from indexer.evaluation.layouts import Layout, read_layout

PLACES365 = "S3_Label,S16_Label,S365_Label,Prob_indoor,Prob_natural,Prob_urban"
SCENE = "2,12,353,0.27424151079564574,0.045113281211733636,0.6806452318211216"
OSV5M = (
    "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,cell,"
    "region,sub-region,city,land_cover,road_index,drive_side,climate,soil,dist_sea,"
    "quadtree_10_5000,quadtree_10_25000,quadtree_10_1000,quadtree_10_50000,quadtree_10_12500,"
    "quadtree_10_500,quadtree_10_2500,unique_region,unique_sub-region,unique_city,unique_country,"
    "creator_username,creator_id"
)
OSV5M_ROW = (
    '{id},{lat},{lon},,NZ,abc,1514764800000,8,8,"(0, 8)",Chatham Islands,,Waitangi,4,4.661764145,'
    "1,15,3,0.0068841379890803,0,0,0,0,0,0,0,Chatham Islands_NZ,,Waitangi_NaN_NZ,NZ,roadroid,"
    "11133622109171"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def photos(folder: Path, *names: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "green").save(buffer, "JPEG")
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())


def table(folder: Path, *lines: str) -> Path:
    path = folder.parent / "table.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def written(folder: Path, head: Sequence[str], *rows: Sequence[str]) -> Path:
    path = folder.parent / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def places(truth: Truth) -> dict[str, tuple[float, float]]:
    return {photo.key: (photo.at.lat, photo.at.lon) for photo in truth.photos}


@pytest.mark.parametrize("layout", [Layout.IM2GPS, Layout.IM2GPS3K])
def test_im2gps_and_im2gps3k(folder: Path, layout: Layout) -> None:
    first, second = (
        "104123223_7410c654ba_19_19355699@N00.jpg",
        "1095548455_f636d22cbb_1277_8576809@N08.jpg",
    )
    photos(folder, first, second)
    truth = read_layout(
        layout,
        table(
            folder,
            f"IMG_ID,AUTHOR,LAT,LON,{PLACES365}",
            f"{first},19355699@N00,-16.663606,145.563537,{SCENE}",
            f"{second},8576809@N08,31.893581,-85.141124,{SCENE}",
        ),
        folder,
    )
    assert places(truth) == {
        f"{layout}/{first}": (-16.663606, 145.563537),
        f"{layout}/{second}": (31.893581, -85.141124),
    }
    assert [p.contributor for p in truth.photos] == ["19355699@N00", "8576809@N08"]
    assert {p.set for p in truth.photos} == {str(layout)}
    assert truth.photos[0].read()[:2] == b"\xff\xd8"


def test_im2gps3k_as_once_published_with_its_headings_exchanged(folder: Path) -> None:
    names = ["1000269685_e60e9cdfb4.jpg", "1005977048_5ccf8b05d3.jpg"]
    photos(folder, *names)
    truth = read_layout(
        Layout.IM2GPS3K,
        table(
            folder,
            f"IMG_ID,AUTHOR,LON,LAT,{PLACES365}",
            f"{names[0]},78841376@N00,32.325436,-64.764404,{SCENE}",
            f"{names[1]},91728102@N00,29.976052,122.390356,{SCENE}",
        ),
        folder,
    )
    assert [*places(truth).values()] == [(32.325436, -64.764404), (29.976052, 122.390356)]


def test_yfcc4k_without_authors(folder: Path) -> None:
    photos(folder, "yfcc4k/4351695.jpg")
    truth = read_layout(
        Layout.YFCC4K,
        table(folder, f"IMG_ID,LAT,LON,{PLACES365}", f"4351695.jpg,40.7,-74.0,{SCENE}"),
        folder,
    )
    assert places(truth) == {"yfcc4k/4351695.jpg": (40.7, -74.0)}
    assert truth.photos[0].contributor == ""


def test_yfcc26k_in_folders_and_flattened(folder: Path) -> None:
    photos(folder, "2f/0d/4971839443.jpg", "a3_11_9183.jpg")
    truth = read_layout(
        Layout.YFCC26K,
        table(
            folder,
            f"IMG_ID,LAT,LON,{PLACES365}",
            f"2f/0d/4971839443.jpg,40.7,-74.0,{SCENE}",
            f"a3/11/9183.jpg,35.7,139.7,{SCENE}",
            f"00/00/gone.jpg,1.0,2.0,{SCENE}",
        ),
        folder,
    )
    assert [*places(truth).values()] == [(40.7, -74.0), (35.7, 139.7)]
    assert [(one.key, one.cause) for one in truth.skipped] == [
        ("yfcc26k/00/00/gone.jpg", "there is no file of this name in the folder")
    ]


def test_gws15k(folder: Path) -> None:
    photos(folder, "gsv_0.jpg", "gsv_2.jpg")
    lines = ("path,lat,lon", "gsv_0.jpg,31.9072094,102.2125397", "gsv_2.jpg,0,0")
    truth = read_layout(Layout.GWS15K, table(folder, *lines), folder)
    assert places(truth) == {"gws15k/gsv_0.jpg": (31.9072094, 102.2125397)}
    assert "placeholder" in truth.skipped[0].cause


def test_osv5m(folder: Path) -> None:
    photos(folder, "images/test/00/3859149887465501.jpg", "images/test/04/77.jpg")
    truth = read_layout(
        Layout.OSV5M,
        table(
            folder,
            OSV5M,
            OSV5M_ROW.format(id="3859149887465501", lat="-43.804769384023", lon="-176.614092508"),
            OSV5M_ROW.format(id="77", lat="12.5", lon="-3.25"),
        ),
        folder,
    )
    assert places(truth) == {
        "osv5m/3859149887465501": (-43.804769384023, -176.614092508),
        "osv5m/77": (12.5, -3.25),
    }
    assert {photo.contributor for photo in truth.photos} == {"11133622109171"}


def game(*rounds: dict[str, object]) -> str:
    return json.dumps({"type": "solo", "rounds": [*rounds], "players": [{"score": 4200}]})


def test_geocomp_from_the_records_of_its_games(folder: Path) -> None:
    photos(folder, "France/WuZoZ5BDSTMF50d2ZCUg2Q_panoramic.jpg", "OC7wNOoNM79aK0JfB5-L5Q.png")
    french = {"nation": "法国", "panoId": "WuZoZ5BDSTMF50d2ZCUg2Q", "lat": 43.98, "lng": 4.92}
    other = {"nation": "葡萄牙", "panoId": "OC7wNOoNM79aK0JfB5-L5Q", "lat": 38.7, "lng": -9.1}
    unknown = {"nation": "加拿大", "panoId": "nowhere-in-the-folder", "lat": 50.0, "lng": -100.0}
    truth = read_layout(
        Layout.GEOCOMP,
        written(
            folder,
            ["id", "gmt_create", "data"],
            ["1", "2023-01-01 10:00:00", game(french, unknown)],
            ["2", "2023-01-02 10:00:00", game(other, french)],
            ["3", "2023-01-03 10:00:00", '{"broken'],
        ),
        folder,
    )
    assert places(truth) == {
        "geocomp/OC7wNOoNM79aK0JfB5-L5Q": (38.7, -9.1),
        "geocomp/WuZoZ5BDSTMF50d2ZCUg2Q": (43.98, 4.92),
    }
    assert truth.skipped == ()


def test_geocomp_from_a_list_of_panoramas(folder: Path) -> None:
    photos(folder, "xyz.jpg")
    lines = ("nation,panoID,lat,lng", "加拿大,xyz,50.5,-100.25")
    truth = read_layout(Layout.GEOCOMP, table(folder, *lines), folder)
    assert places(truth) == {"geocomp/xyz": (50.5, -100.25)}


def test_earthwhere_street(folder: Path) -> None:
    photos(folder, "imgs/BV1aREpzSEG7.jpg", "imgs/BV1tz4y1x7aj.jpg", "imgs/BV1ux4y1Y7rG.jpg")
    path = written(
        folder,
        ["BVID", "key_clues", "answer", "answer_type", "hint"],
        ["BV1aREpzSEG7", '["A temple."]', "25.5667, 100.2153", "latitude & longitude", "[]"],
        ["BV1tz4y1x7aj", '["A railway."]', "Douguan Station, Guiyang, China", "street", "[]"],
        ["BV1ux4y1Y7rG", '["Cars drive on the right."]', "Tunisia", "country", "[]"],
    )
    given = folder.parent / "coordinates.csv"
    given.write_text("id,lat,lon\nBV1tz4y1x7aj,26.63,106.61\n", "utf-8")
    truth = read_layout(Layout.EARTHWHERE, path, folder, given)
    assert places(truth) == {
        "earthwhere/BV1aREpzSEG7": (25.5667, 100.2153),
        "earthwhere/BV1tz4y1x7aj": (26.63, 106.61),
    }
    assert [one.key for one in truth.skipped] == ["earthwhere/BV1ux4y1Y7rG"]
    assert "no coordinates" in truth.skipped[0].cause


def test_earthwhere_country_needs_coordinates(folder: Path) -> None:
    photos(folder, "imgs/OC7wNOoNM79aK0JfB5-L5Q_panoramic.jpg")
    path = written(
        folder,
        ["nation", "panoID", "options", "answer-type"],
        ["Portugal", "OC7wNOoNM79aK0JfB5-L5Q", "['Spain', 'Morocco', 'France']", "country"],
    )
    with pytest.raises(InvalidSource, match="usable position"):
        read_layout(Layout.EARTHWHERE, path, folder)
    given = folder.parent / "coordinates.csv"
    given.write_text("id,lat,lon\nOC7wNOoNM79aK0JfB5-L5Q,38.7,-9.1\n", "utf-8")
    truth = read_layout(Layout.EARTHWHERE, path, folder, given)
    assert places(truth) == {"earthwhere/OC7wNOoNM79aK0JfB5-L5Q": (38.7, -9.1)}


@pytest.mark.parametrize("layout", [*Layout])
def test_a_table_in_another_layout_is_refused(folder: Path, layout: Layout) -> None:
    photos(folder, "a.jpg")
    with pytest.raises(InvalidSource, match="no column"):
        read_layout(layout, table(folder, "name,where", "a.jpg,here"), folder)


def test_bytes_that_are_no_table_are_refused(folder: Path) -> None:
    photos(folder, "a.jpg")
    path = folder.parent / "table.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InvalidSource, match="CSV"):
        read_layout(Layout.GWS15K, path, folder)
