"""Images in messages: recorded by reference, as a picture of a megabyte would otherwise be in every span.

A part of a message whose URL holds its data (`data:image/png;base64,…`) is recorded with the data's media type,
length and hash in its place:

    callboard:image/png;bytes=12345;sha256=6b86b273ff34fce1

Addresses on the web stay. The program's messages are not touched: a message with such a part is recorded as another.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from callboard import SpanContext

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.ASCII)

MOST_REFERENCES = 1024
"""How many references are known; beyond, all are forgotten."""


_references: dict[tuple[int, int], str] = {}


def history(span: SpanContext, agent: Any, messages: list[Any], *peer: Any) -> Any:
    """Make an agent's messages with a peer one value, without the data of images; see `SpanContext.messages`."""
    return span.messages((id(agent), *peer), messages, by_reference)


def by_reference(message: Any) -> Any:
    """Return a message without the data of its images; the message itself where it has none."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    parts = [_part(part) for part in content]
    is_same = all(part is before for part, before in zip(parts, content, strict=False))
    return message if is_same else {**message, "content": parts}


def _part(part: Any) -> Any:
    """Return a part of a message without its data; the part itself where it has none."""
    return _with(_field, part) if isinstance(part, dict) else part


def _field(value: Any) -> Any:
    return _with(_reference, value) if isinstance(value, dict) else _reference(value)


def _with(replace: Callable[[Any], Any], entries: dict[Any, Any]) -> dict[Any, Any]:
    """Return the dict with what is replaced; itself where nothing is. Text is the author's own words."""
    changed = {key: other for key, value in entries.items() if key != "text" and (other := replace(value)) is not value}
    return {**entries, **changed} if changed else entries


def _reference(value: Any) -> Any:
    """Return what stands for a URL that holds its data; anything else as it is."""
    if not isinstance(value, str) or not value.startswith("data:"):
        return value
    key = hash(value), len(value)  # Python keeps a text's hash, so that this is quick, and the text need not be kept.
    reference = _references.get(key)
    if reference is None:
        found = _DATA.match(value)
        if found is None:
            return value
        if len(_references) >= MOST_REFERENCES:
            _references.clear()
        reference = _references[key] = _described(found, value[found.end() :])
    return reference


def _described(found: re.Match[str], text: str) -> str:
    media_type, _, base64 = found.groups()
    try:
        data = binascii.a2b_base64(text) if base64 else unquote_to_bytes(text)
    except ValueError:
        data = text.encode(errors="surrogatepass")
    import hashlib  # here, as not every interpreter within another one can load it (3.12, with OpenSSL)

    digest = hashlib.sha256(data, usedforsecurity=False).hexdigest()[:16]
    return f"callboard:{media_type or 'text/plain'};bytes={len(data)};sha256={digest}"
