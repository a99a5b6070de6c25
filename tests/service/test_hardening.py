"""Strangers with bad manners, over real connections to the real server."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from service import limits, problems
from service.connections import BACKLOG, Bounds, guarded
from service.limits import BodyLimit

_BOUNDS = Bounds(connections=20, header_bytes=8_192, header_s=1.5, drain_s=0.6)
_LATE_S = 20.0
"""Far beyond every deadline here: what takes longer does not end."""

_POST = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """A small application behind the guarded protocol, with short deadlines."""
    app = FastAPI()

    @app.post("/")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.get("/")
    async def hello() -> str:
        return "hello"

    problems.install(app)
    app.add_middleware(BodyLimit, limit=100_000, held=150_000)
    config = uvicorn.Config(app, http=guarded(_BOUNDS), ws="none", log_level="error", port=0)
    running = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not running.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield listener.getsockname()
    finally:
        running.should_exit = True
        thread.join(60)


@contextlib.contextmanager
def _connected(server: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(server, timeout=_LATE_S) as connection:
        yield connection


def _all(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def _problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    told = json.loads(body)
    assert b"application/problem+json" in head
    assert int(head.split()[1]) == told["status"]
    return told["status"], told["type"].removeprefix("urn:geofix:problem:")


def test_ordinary_requests_pass_on_one_connection(server: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://{server[0]}:{server[1]}") as client:
        for size in (0, 10, 70_000, 99_999):  # larger than what headers may be
            assert client.post("/", content=b"x" * size).json() == size
            assert client.get("/").json() == "hello"


def test_pipelined_requests_are_answered_in_turn(server: tuple[str, int]) -> None:
    with _connected(server) as connection:
        get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + b"x" * 40_000
        last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        connection.sendall(get + post + get + last)
        answer = _all(connection)
        assert answer.count(b"200 OK") == 4
        assert b"40000" in answer


def test_a_connection_that_says_nothing_is_closed(server: tuple[str, int]) -> None:
    with _connected(server) as connection:
        started = time.monotonic()
        assert _all(connection) == b""
        assert time.monotonic() - started < _LATE_S


@pytest.mark.parametrize("drip", [b"GET / HTTP/1.1\r\nX-A: ", b"\r\n"])
def test_headers_that_drip_are_cut_off(server: tuple[str, int], drip: bytes) -> None:
    with _connected(server) as connection:
        started = time.monotonic()
        connection.sendall(drip)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < _LATE_S:
                connection.sendall(b"a" if drip != b"\r\n" else b"\r\n")
                time.sleep(0.1)
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if connection.recv(1, socket.MSG_PEEK) is not None:
                        break
                connection.setblocking(True)
        connection.settimeout(_LATE_S)
        answer = _all(connection)
        assert time.monotonic() - started < _LATE_S
        assert answer == b"" if drip == b"\r\n" else _problem(answer) == (408, "slow-request")


@pytest.mark.parametrize(
    "bomb",
    [
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(100_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nX-A: " + b"a" * 3_000_000,
        b"GET /" + b"a" * 3_000_000,
        b"GET / HTTP/1.1\r\nX-A: " + b"a" * 10_000 + b"\r\n\r\n",
    ],
    ids=["many", "endless", "long path", "one read"],
)
def test_a_header_bomb_is_refused(server: tuple[str, int], bomb: bytes) -> None:
    with _connected(server) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(bomb)
        answer = _all(connection)
        # A client that is still sending may lose the answer to its own unread bytes.
        assert not answer or _problem(answer) == (431, "headers-too-large")
    if len(bomb) < 20_000:
        assert answer


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_too(server: tuple[str, int], nonsense: bytes) -> None:
    with _connected(server) as connection:
        connection.sendall(nonsense)
        assert _problem(_all(connection)) == (400, "invalid-request")


def test_a_body_too_large_is_answered_before_its_end(server: tuple[str, int]) -> None:
    head = _POST + b"Content-Length: 100000000\r\n\r\n"
    with _connected(server) as connection:
        connection.sendall(head)
        assert _problem(_all(connection)) == (413, "photo-too-large")


def test_a_body_that_nobody_reads_does_not_hold_the_connection(server: tuple[str, int]) -> None:
    with _connected(server) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < _LATE_S:
                connection.sendall(b"a")
                time.sleep(0.05)
        assert time.monotonic() - started < _LATE_S


def test_a_body_that_drips_is_cut_off(
    server: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_PATIENCE_S", 0.5)
    with _connected(server) as connection:
        connection.sendall(_POST + b"Content-Length: 90000\r\n\r\n")
        for _ in range(20):
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"a")
            time.sleep(0.05)
        assert _problem(_all(connection)) == (408, "slow-request")


def test_bodies_together_are_bounded_and_room_comes_back(server: tuple[str, int]) -> None:
    head = _POST + b"Content-Length: 90000\r\n\r\n"
    with _connected(server) as first:
        first.sendall(head + b"a" * 80_000)
        answer, deadline = b"", time.monotonic() + _LATE_S
        while not answer.startswith(b"HTTP/1.1 503"):  # as soon as the first body is being read
            assert time.monotonic() < deadline, answer
            with _connected(server) as second:
                second.sendall(head + b"a" * 90_000)
                answer = _all(second)
        assert _problem(answer) == (503, "unavailable")
        first.sendall(b"a" * 10_000)
        assert _all(first).endswith(b"90000")
    with _connected(server) as third:
        third.sendall(head + b"a" * 90_000)
        assert _all(third).endswith(b"90000")


def test_idle_connections_make_room_for_those_with_something_to_say(
    server: tuple[str, int],
) -> None:
    with contextlib.ExitStack() as idle:
        busy = idle.enter_context(_connected(server))
        busy.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
        )
        time.sleep(0.1)
        for _ in range(200):
            idle.enter_context(_connected(server))
        with httpx.Client(base_url=f"http://{server[0]}:{server[1]}") as client:
            assert client.get("/").json() == "hello"
        busy.sendall(b"abc")
        assert _all(busy).endswith(b"3")


def test_ten_thousand_idle_connections_keep_nobody_out(
    client: httpx.Client, service: subprocess.Popen[bytes], address: str
) -> None:
    """As many as this process may open; the service keeps no more than it is told to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = min(10_000, hard - 500)
    where = (str(urlsplit(address).hostname), int(urlsplit(address).port or 0))
    idle: list[socket.socket] = []
    try:
        for count in range(wanted):
            idle.append(socket.create_connection(where, timeout=20))
            if count % 2_000 == 0:
                assert client.get("/healthz").status_code == 200
        assert client.get("/healthz").status_code == 200
        files = Path(f"/proc/{service.pid}/fd")
        if files.exists():
            assert len([*files.iterdir()]) < 2_048 + BACKLOG + 256
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert client.get("/healthz").status_code == 200


def test_a_hundred_megabytes_are_refused(client: httpx.Client) -> None:
    def pour() -> Iterator[bytes]:
        for _ in range(100):
            yield b"\0" * 2**20

    length = {"Content-Length": str(100 * 2**20)}
    for headers in (length, {}):  # announced, and chunk by chunk
        answer = client.post(
            "/v1/locate", content=pour(), headers={"Content-Type": "image/jpeg", **headers}
        )
        assert answer.status_code == 413
        assert answer.json()["type"] == "urn:geofix:problem:photo-too-large"


def test_a_part_sent_twice_is_refused(client: httpx.Client, jpeg: bytes) -> None:
    twice = client.post(
        "/v1/locate", files=[("photo", ("a.jpg", jpeg)), ("photo", ("b.jpg", jpeg))]
    )
    option = client.post(
        "/v1/locate", files={"photo": ("a.jpg", jpeg)}, data={"candidates": ["3", "5"]}
    )
    assert (twice.status_code, option.status_code) == (400, 422)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..\\..\\a", "a\0.jpg", "\u202egpj.a", "a" * 9_000]
)
def test_a_file_name_is_never_a_path(
    client: httpx.Client, jpeg: bytes, environment: dict[str, str], name: str
) -> None:
    folder = Path(environment["GEOFIX_DATA_DIR"])
    before = sorted(path for path in folder.rglob("*") if "passwd" in path.name)
    answer = client.post("/v1/locate", files={"photo": (name, jpeg)}, params={"generators": "none"})
    assert answer.status_code in (200, 400)
    assert name not in answer.text
    assert sorted(path for path in folder.rglob("*") if "passwd" in path.name) == before
