"""From prompts to what is sent: with the photo, its references' pictures and a size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geofix.engine import image, jpeg
from geofix.engine.generators.lmm import picture
from geofix.engine.generators.lmm.prompts import Prompt, messages, response_format
from geofix.engine.types import Neighbour, Photo
from geofix.errors import InvalidPhoto

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, completion_create_params

Thumbnails = Callable[[Neighbour], Awaitable[bytes | None]]
"""Gives an encoded picture of a neighbour, or None where there is none."""

_THUMBNAIL_SIDE = 256
_CHARACTERS_A_TOKEN = 2
"""A low figure: estimates must not fall short."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt in the terms of the API."""

    prompt: Prompt
    messages: list[ChatCompletionMessageParam]
    messages_without_thumbnails: list[ChatCompletionMessageParam]
    response_format: completion_create_params.ResponseFormat
    illustrated: tuple[str, ...]
    """Ids of the references whose pictures are sent."""
    tokens_in: int
    """Upper estimate."""


def questions(
    prompts: Sequence[Prompt], photo: Photo, pictures: Mapping[str, bytes], longest_side: int
) -> list[Question]:
    """Every prompt with its pictures; all of them encoded anew, small and without metadata.

    Args:
        prompts: the ensemble.
        photo: what it asks about.
        pictures: encoded pictures by neighbour id; unreadable ones are left out.
        longest_side: of the photo as sent, in pixels.
    """
    photo_url = picture.data_url(jpeg.encode(photo.pixels, longest_side))
    thumbnails = {
        neighbour: picture.data_url(small)
        for neighbour, data in pictures.items()
        if (small := _thumbnail(data)) is not None
    }
    return [
        _question(prompt, photo_url, thumbnails, picture.tokens(longest_side)) for prompt in prompts
    ]


def _question(
    prompt: Prompt, photo_url: str, thumbnails: Mapping[str, str], photo_tokens: int
) -> Question:
    illustrated = tuple(r.id for r in prompt.references if r.id in thumbnails)
    return Question(
        prompt=prompt,
        messages=messages(prompt, photo_url, thumbnails),
        messages_without_thumbnails=messages(prompt, photo_url, {}),
        response_format=response_format(prompt),
        illustrated=illustrated,
        tokens_in=text_tokens(prompt.system + prompt.text)
        + photo_tokens
        + len(illustrated) * picture.tokens(_THUMBNAIL_SIDE),
    )


async def gather_pictures(
    prompts: Sequence[Prompt], source: Thumbnails | None, timeout_s: float
) -> dict[str, bytes]:
    """The references' pictures that come in time, by neighbour id."""
    wanted = {reference.id: reference for prompt in prompts for reference in prompt.references}
    if source is None or not wanted:
        return {}
    tasks = {asyncio.ensure_future(source(wanted[id_])): id_ for id_ in wanted}
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s)
    finally:
        for task in tasks:
            task.cancel()
    found = {
        tasks[task]: task.result()
        for task in done
        if not task.cancelled() and task.exception() is None
    }
    return {id_: data for id_, data in found.items() if data}


def text_tokens(text: str) -> int:
    """An upper estimate of the tokens of a text."""
    return len(text) // _CHARACTERS_A_TOKEN + 1


def _thumbnail(data: bytes) -> bytes | None:
    try:
        return jpeg.encode(image.decode(data, target=_THUMBNAIL_SIDE).pixels, _THUMBNAIL_SIDE)
    except InvalidPhoto:
        return None
