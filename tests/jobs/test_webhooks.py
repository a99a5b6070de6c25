from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from redis import Redis
from standardwebhooks.webhooks import Webhook

from geofix.errors import InvalidOption
from geofix.jobs import webhooks
from geofix.jobs.addresses import resolve
from geofix.jobs.store import JobStore
from geofix.jobs.sweeping import sweep
from geofix.jobs.tasks import CelerySender
from geofix.jobs.webhooks import deliver, secret_of
from geofix.settings import Settings
from tests.jobs.conftest import Playing, Submitting
from tests.jobs.test_store import _work


class Receiver:
    """An HTTP server that answers calls as it is told and keeps them."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append((dict(self.headers.items()), body))
                self.send_response(receiver.status)
                if receiver.status == 302:
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._handler = Handler
        self.listen()
        self.url = f"http://localhost:{self._server.server_port}/hook?a=1"

    def listen(self, port: int = 0) -> None:
        """Answer at a port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Be down; again is no error."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


def test_a_call_is_signed_and_made_once(
    play: Playing, submit: Submitting, receiver: Receiver, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store, 3, webhook=receiver.url, owner="ann")
        await _work(store, job.id, 0)
        assert (await sweep(store, sender)).webhooks == 1
        assert await deliver(store, job.id)
        headers, body = receiver.calls[0]
        told = Webhook(await secret_of(store, "ann")).verify(body, headers)
        assert told["type"] == "job.completed"
        assert told["data"]["id"] == job.id
        assert told["data"]["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
        assert headers["Host"] == receiver.url.split("/")[2]
        redis.flushall()
        assert (await sweep(store, sender)).webhooks == 0
        assert len(receiver.calls) == 1
        assert await secret_of(store, "ann") != await secret_of(store, "bob")

    play(scene)


def test_a_receiver_that_is_down_gets_its_call_when_it_is_back(
    play: Playing, submit: Submitting, receiver: Receiver, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store, 3, webhook=receiver.url)
        await _work(store, job.id, 0)
        delays = []
        for status, waited in ((503, 0.0), (500, 10.0), (302, 40.0), (404, 7200.0)):
            receiver.status = status
            redis.hset(f"geofix:job:{job.id}", "at:completed", str(time.time() - waited))
            assert not await deliver(store, job.id)
            due = redis.zscore("geofix:webhooks", job.id)
            assert due is not None
            delays.append(due - time.time())
        assert [
            round(delay / wanted, 0)
            for delay, wanted in zip(delays, (5.0, 5.0, 20.0, 3600.0), strict=True)
        ] == [1, 1, 1, 1]
        assert len(receiver.calls) == 4  # a redirect is not followed
        receiver.status = 200
        redis.flushall()
        assert (await sweep(store, sender)).webhooks == 1
        assert await deliver(store, job.id)
        ids = {headers["webhook-id"] for headers, _ in receiver.calls}
        assert len(ids) == 1

    play(scene)


def test_a_receiver_that_does_not_listen_gets_its_call_when_it_does(
    play: Playing, submit: Submitting, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FIRST_DELAY_S", 0.05)
    receiver.close()

    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store, 1, webhook=receiver.url)
        await _work(store, job.id, 0)

        async def attempt() -> bool:
            """As the clock and a worker would."""
            async with asyncio.timeout(30.0):
                while not (await sweep(store, sender)).webhooks:  # noqa: ASYNC110 - as beat does
                    await asyncio.sleep(0.02)
            return await deliver(store, job.id)

        assert [await attempt() for _ in range(3)] == [False] * 3
        receiver.listen(urlsplit(receiver.url).port or 0)
        assert await attempt()
        assert len(receiver.calls) == 1

    play(scene)


def test_it_is_given_up_after_a_day_or_when_the_receiver_says_so(
    play: Playing, submit: Submitting, receiver: Receiver, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        job, gone = [await submit(store, 1, webhook=receiver.url) for _ in range(2)]
        await _work(store, job.id, 0)
        await _work(store, gone.id, 0)
        receiver.status = 500
        redis.hset(f"geofix:job:{job.id}", "at:completed", str(time.time() - 90_000))
        assert await deliver(store, job.id)
        receiver.status = 410
        assert await deliver(store, gone.id)
        assert redis.zcard("geofix:webhooks") == 0

    play(scene)


def test_a_name_that_has_become_private_is_not_called(
    play: Playing, submit: Submitting, receiver: Receiver, config: Settings
) -> None:
    config.webhook_allow = ()

    async def scene(store: JobStore) -> None:
        job = await submit(store, 1, webhook=receiver.url)
        await _work(store, job.id, 0)
        assert not await deliver(store, job.id)
        assert receiver.calls == []

    play(scene)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://localhost/",
        "http://no-such-host.invalid/",
        "ftp://example.com/",
        "http://user:password@8.8.8.8/",
        "http://8.8.8.8:99999/",
        "http://8.8.8.8/\r\nX: y",
        "http:///x",
        "x",
    ],
)
def test_what_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption, match="webhook"):
        asyncio.run(resolve(url, ()))


def test_the_operator_may_allow_a_network() -> None:
    target = asyncio.run(resolve("http://127.0.0.1:8080/x?y=1", ("127.0.0.0/8",)))
    assert target.pinned == "http://127.0.0.1:8080/x?y=1"
    assert asyncio.run(resolve("https://8.8.8.8", ())).pinned == "https://8.8.8.8/"
    with pytest.raises(InvalidOption):
        asyncio.run(resolve("http://[::1]/", ("127.0.0.0/8",)))


def test_a_call_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a public and a private address is refused, whichever comes first."""
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))
        for address in ("8.8.8.8", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(InvalidOption):
        asyncio.run(resolve("http://rebind.example/", ()))
