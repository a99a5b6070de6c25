"""The remote end: one chat-completions endpoint, spoken to through the ``openai`` SDK.

Importing this module imports the SDK; nothing else in the engine does, and nothing here opens a
socket before the first call.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2
import openai

from geofix.engine.generators.lmm.dialect import Dialect, Feature
from geofix.engine.generators.lmm.outcome import CallFailed, Outcome
from geofix.engine.generators.lmm.questions import Question
from geofix.settings import Settings

OPENAI_BASE_URL: Final = "https://api.openai.com/v1"
MAX_BODY_BYTES: Final = 4 * 1024 * 1024

_BY_STATUS: Mapping[int, Outcome] = {
    400: Outcome.BAD_REQUEST,
    401: Outcome.UNAUTHORIZED,
    403: Outcome.UNAUTHORIZED,
    404: Outcome.NOT_FOUND,
    408: Outcome.TIMEOUT,
    422: Outcome.BAD_REQUEST,
    429: Outcome.RATE_LIMITED,
}


class Endpoint:
    """One connection pool; may be used from one event loop at a time."""

    def __init__(self, settings: Settings) -> None:
        self._model = settings.lmm_model
        self._max_tokens = settings.lmm_max_output_tokens
        self._parallel = settings.lmm_parallel
        self._base_url = settings.lmm_base_url or OPENAI_BASE_URL
        self._key = settings.lmm_api_key
        self._open: tuple[asyncio.AbstractEventLoop, openai.AsyncOpenAI, asyncio.Semaphore] | None
        self._open = None

    async def post(self, question: Question, n: int, dialect: Dialect) -> bytes:
        """Ask once; returns the body of a 200.

        Raises CallFailed for everything else but a timeout: the caller sets the time.
        """
        client, slots = self._connection()
        schema, temperature = Feature.JSON_SCHEMA in dialect, Feature.TEMPERATURE in dialect
        old_limit = Feature.MAX_TOKENS in dialect
        try:
            async with slots:
                response = await client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=question.messages
                    if Feature.THUMBNAILS in dialect
                    else question.messages_without_thumbnails,
                    response_format=question.response_format if schema else openai.omit,
                    temperature=question.prompt.temperature if temperature else openai.omit,
                    n=n if n > 1 else openai.omit,
                    max_tokens=self._max_tokens if old_limit else openai.omit,
                    max_completion_tokens=openai.omit if old_limit else self._max_tokens,
                )
        except openai.APIStatusError as error:
            raise _refused(error) from None
        except openai.APITimeoutError:
            raise CallFailed(Outcome.TIMEOUT) from None
        except openai.APIConnectionError as error:
            too_large = isinstance(error.__cause__, BodyTooLarge)
            raise CallFailed(Outcome.GARBAGE if too_large else Outcome.UNREACHABLE) from None
        except openai.OpenAIError:
            raise CallFailed(Outcome.GARBAGE) from None
        return response.content

    async def close(self) -> None:
        """Give the connections back."""
        if self._open is not None:
            _, client, _ = self._open
            self._open = None
            await client.close()

    def _connection(self) -> tuple[openai.AsyncOpenAI, asyncio.Semaphore]:
        """The client of the running loop: sockets of another one cannot be used."""
        loop = asyncio.get_running_loop()
        if self._open is None or self._open[0] is not loop:
            client = openai.AsyncOpenAI(
                base_url=self._base_url,
                # A local server needs no key, but the SDK would send one from OPENAI_API_KEY.
                api_key=self._key.get_secret_value() or "none",
                max_retries=0,
                timeout=None,
                # Not redirected: the photo goes where the operator said and nowhere else.
                http_client=openai.DefaultAsyncHttpxClient(
                    follow_redirects=False, event_hooks={"response": [_limit_body]}
                ),
            )
            client.organization = client.project = None  # nor these from the environment
            self._open = loop, client, asyncio.Semaphore(self._parallel)
        return self._open[1], self._open[2]


class BodyTooLarge(httpx2.RequestError):
    """The server sends more than any answer needs."""


class _LimitedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in self._stream:
            received += len(chunk)
            if received > MAX_BODY_BYTES:
                raise BodyTooLarge("the body is too large")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _limit_body(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BodyTooLarge("a packed body has no known size")
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _LimitedStream(response.stream)


def _refused(error: openai.APIStatusError) -> CallFailed:
    status = error.status_code
    outcome = _BY_STATUS.get(status, Outcome.SERVER_ERROR if status >= 500 else Outcome.GARBAGE)
    return CallFailed(
        outcome,
        complaint=error.response.text[:4000].lower(),
        retry_after_s=_seconds(error.response.headers.get("retry-after", "")),
    )


def _seconds(retry_after: str) -> float | None:
    """The header's seconds or date; None when it is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
