"""Reading photos and options out of a request's body, whatever form it came in."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass

from fastapi import Request
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from geofix.errors import (
    EmptyPhoto,
    GeofixError,
    InvalidOption,
    InvalidRequest,
    UnsupportedContentType,
)

MULTIPART = "multipart/form-data"
JSON = "application/json"


class _InMemory(MultiPartParser):
    """Keeps files in memory: the body is bounded, and an upload must not touch the disk."""

    spool_max_size = 2**62


@dataclass(frozen=True, slots=True)
class Form:
    """The photos and the other fields of a multipart body."""

    photos: tuple[bytes, ...]
    fields: tuple[tuple[str, str], ...]


def content_type(request: Request) -> str:
    """The body's media type, lower case, without parameters.

    ``image/*`` stands for any picture: what it really is, its bytes say.
    """
    header = request.headers.get("content-type", "")
    name = parse_options_header(header)[0].decode("latin-1").lower()
    return "image/*" if name.startswith("image/") else name


def unsupported(request: Request, *accepted: str) -> UnsupportedContentType:
    """The error for a body of another type than those accepted."""
    given = request.headers.get("content-type", "")[:100] or "none"
    return UnsupportedContentType(
        f"Content-Type {given!r} is not understood here. Send {', '.join(accepted)}."
    )


async def read_photo(request: Request) -> bytes:
    """The whole body as one photo. Raises EmptyPhoto."""
    return not_empty(await request.body())


async def read_form(request: Request, *, max_photos: int) -> Form:
    """The parts of a multipart body: files named ``photo``, everything else a text field.

    Raises InvalidRequest for a malformed body, another file, or too many parts; EmptyPhoto.
    """
    parser = _InMemory(
        request.headers, request.stream(), max_files=max_photos, max_fields=50, max_part_size=65_536
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The multipart body cannot be read: {error.message}") from error
    except UnicodeError as error:
        raise InvalidRequest("The multipart body's charset cannot be read. Use UTF-8.") from error
    try:
        return await _parts(form)
    finally:
        await form.close()


async def _parts(form: FormData) -> Form:
    photos: list[bytes] = []
    fields: list[tuple[str, str]] = []
    for name, part in form.multi_items():
        if isinstance(part, str):
            fields.append((name, part))
        elif name == "photo":
            photos.append(not_empty(await part.read()))
        else:
            raise InvalidRequest(f"File part {name[:80]!r} is unexpected. Name it 'photo'.")
    if any(name == "photo" for name, _ in fields):
        raise InvalidRequest("The part 'photo' holds text. Send it as a file, with a file name.")
    if not photos:
        raise InvalidRequest("No file part named 'photo' is in the body.")
    return Form(tuple(photos), tuple(fields))


async def from_base64(text: str) -> bytes:
    """The photo in a base64 string (RFC 4648 §4; line breaks are allowed).

    Raises InvalidRequest when it is malformed, EmptyPhoto when nothing is in it.
    """
    return not_empty(await asyncio.to_thread(_decode, text))


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(
            "The photo is not valid base64. Send the standard alphabet with padding, "
            "without a data: prefix."
        ) from error


def invalid_json(error: ValidationError) -> GeofixError:
    """The deliberate error of a JSON body that its model refused.

    InvalidRequest for what is no JSON object or has no content, InvalidOption for a wrong field.
    """
    for entry in error.errors(include_input=False):
        path = ".".join(str(part) for part in entry["loc"])
        if entry["type"] == "json_invalid":
            return InvalidRequest(f"The body is not valid JSON: {entry['msg']}.")
        if not path or (entry["type"] == "missing" and len(entry["loc"]) == 1):
            reason = entry["msg"].removeprefix("Value error, ")
            return InvalidRequest(f"The JSON body is incomplete: {path or 'body'}: {reason}.")
    entry = error.errors(include_input=False)[0]
    path = ".".join(str(part) for part in entry["loc"])[:200]
    if entry["type"] == "extra_forbidden":
        return InvalidOption(f"Unknown option {path!r}.")
    return InvalidOption(f"{path}: {entry['msg']}.")


def not_empty(data: bytes) -> bytes:
    if not data:
        raise EmptyPhoto("No bytes came. Send the photo's file as it is.")
    return data
