"""What a chat-completions endpoint answers, in every vendor's dialect of it.

Only what is needed is looked at, and a part that is not as expected counts as absent: usage may be
missing or null, content may be null, a text or a list of parts, a choice may be anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_TOKENS = 10**9
_FINISHED: Mapping[object, bool] = {"stop": True, "length": False, "max_tokens": False}


@dataclass(frozen=True, slots=True)
class Generation:
    """One of the answers to a prompt."""

    text: str
    finished: bool | None = None
    """Whether the model came to its end; None when the server does not say."""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A body that could be read."""

    generations: tuple[Generation, ...]
    tokens_in: int | None
    """None where the server does not say."""
    tokens_out: int | None


def chat_answer(body: bytes) -> ChatAnswer | None:
    """Read a body of any content; None when it holds no choices."""
    try:
        answer = _object(json.loads(body))
    except (ValueError, RecursionError):
        return None
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        return None
    usage = _object(answer.get("usage"))
    return ChatAnswer(
        tuple(_generation(_object(choice)) for choice in choices),
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def _generation(choice: Mapping[str, object]) -> Generation:
    message = _object(choice.get("message"))
    reason = choice.get("finish_reason")
    return Generation(
        text=_text(message.get("content")),
        finished=_FINISHED.get(reason) if isinstance(reason, str) else None,
        refused=bool(message.get("refusal")) or reason == "content_filter",
    )


def _text(content: object) -> str:
    """The text of a content; of parts only those that are text, not the model's thinking."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (_object(part).get("text") for part in content)
    return "".join(text for text in texts if isinstance(text, str))


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_TOKENS:
        return None
    return value
