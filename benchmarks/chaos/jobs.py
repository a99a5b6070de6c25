"""Jobs of a site, over HTTP, for callers whose service may be killed while they ask."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

import httpx

from service.jobs.schemas import JobAnswer

T = TypeVar("T")

Photo = tuple[str, bytes]
"""Its name and its file."""

_PATH = "/v1/jobs"
_PATIENCE_S = 120.0


class Jobs:
    """Submits jobs and reads them, again while the service is not there.

    Use it as a context manager.
    """

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=_PATIENCE_S)

    def __enter__(self) -> Jobs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def submit(self, photos: Iterable[Photo], options: dict[str, str]) -> str:
        """The id of a new, acknowledged job. ``photos`` are gone through again where it fails."""
        boundary = uuid.uuid4().hex
        headers = {
            "Idempotency-Key": str(uuid.uuid4()),
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }

        def send() -> httpx.Response:
            body = _form(photos, boundary.encode())
            return self._client.post(_PATH, content=body, params=options, headers=headers)

        response = _again(send)
        return JobAnswer.model_validate_json(response.content).id

    def read(self, job: str) -> JobAnswer:
        """The job as it stands."""
        response = _again(lambda: self._client.get(f"{_PATH}/{job}"))
        return JobAnswer.model_validate_json(response.content)

    def wait(
        self, job: str, timeout_s: float, look: Callable[[JobAnswer], None] = lambda _: None
    ) -> JobAnswer:
        """The job once it has ended; ``look`` is shown how it goes. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while True:
            now = self.read(job)
            look(now)
            if now.state.terminal:
                return now
            if time.monotonic() > deadline:
                raise TimeoutError(f"the job is {now.state} at {now.request_counts}")
            time.sleep(0.1)

    def results(self, job: str) -> list[dict[str, object]]:
        """The answers, in the order of the lines."""
        return self._lines(f"{_PATH}/{job}/results")

    def errors(self, job: str) -> list[dict[str, object]]:
        """The photos without an answer, in the order of the lines."""
        return self._lines(f"{_PATH}/{job}/errors")

    def _lines(self, path: str) -> list[dict[str, object]]:
        response = _again(lambda: self._client.get(path))
        return [json.loads(line) for line in response.text.splitlines()]


def _form(photos: Iterable[Photo], boundary: bytes) -> Iterator[bytes]:
    """A multipart body with one photo in memory at a time, as ``geofix batch submit`` sends it."""
    for name, data in photos:
        disposition = f'Content-Disposition: form-data; name="photo"; filename="{name}"'
        yield b"--%s\r\n%s\r\n\r\n" % (boundary, disposition.encode())
        yield data
        yield b"\r\n"
    yield b"--%s--\r\n" % boundary


def _again(ask: Callable[[], httpx.Response]) -> httpx.Response:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            response = ask()
            if response.status_code < 500:
                return response.raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            response.raise_for_status()
        time.sleep(0.2)
