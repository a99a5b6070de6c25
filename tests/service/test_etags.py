from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize("path", ["/v1/galleries", "/openapi.json", "/page/settings"])
def test_what_is_known_is_not_sent_again(client: httpx.Client, path: str) -> None:
    first = client.get(path)
    assert first.status_code == 200
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = client.get(path, headers={"If-None-Match": known})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
    other = client.get(path, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200
    assert other.content == first.content
    assert "X-API-Key" in first.headers["vary"]


def test_a_gallery_that_has_changed_has_another_tag(client: httpx.Client, jpeg: bytes) -> None:
    files = {"photo": ("a.jpg", jpeg)}
    place = {"lat": "1", "lon": "2"}
    client.post("/v1/galleries/tagged/photos", files=files, data={**place, "key": "a"})
    path = "/v1/galleries/tagged"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    client.delete(f"{path}/photos", params={"contributor": "nobody"})
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    shifted = {**place, "key": "b", "contributor": "ann"}
    client.post(f"{path}/photos", files={"photo": ("b.jpg", jpeg + b"\0")}, data=shifted)
    changed = client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_failures_and_posts_have_no_tag(client: httpx.Client, jpeg: bytes) -> None:
    assert "etag" not in client.get("/v1/galleries/nowhere").headers
    photo = {"Content-Type": "image/jpeg"}
    answer = client.post("/v1/locate?generators=none", content=jpeg, headers=photo)
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
