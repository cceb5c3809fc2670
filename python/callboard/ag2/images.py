"""Images, sounds and files in messages: by reference, as a picture of a megabyte would otherwise be in every span.

A part of a message whose URL holds its data (`data:image/png;base64,…`) is recorded with the data's media type,
length and hash in its place:

    callboard:image/png;bytes=12345;sha256=6b86b273ff34fce1

So is data in base64 that is no URL, where what stands beside it says what it is:

    {"type": "input_audio", "input_audio": {"data": "…", "format": "wav"}}          OpenAI
    {"type": "file", "file": {"file_data": "…", "filename": "a.pdf"}}               OpenAI
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "…"}}    Anthropic
    {"type": "image", "data": "…", "mimeType": "image/png"}                         MCP, Google

Addresses on the web stay. The program's messages are not touched: a message with such a part is recorded as another.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from callboard import SpanContext
from callboard._interrupts import pass_on

_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.ASCII)

MOST_REFERENCES = 1024
"""How many references are known; beyond, all are forgotten."""


_references: dict[tuple[int, int, str], str] = {}

_SCHEME = "callboard:"
_BASE64_KEYS = frozenset({"data", "file_data", "blob"})
_SOUNDS = frozenset({"wav", "mp3", "flac", "opus", "ogg", "aac", "m4a", "webm", "pcm", "pcm16", "mp4", "mpeg"})
_TYPE_KEYS = ("media_type", "mime_type", "mimeType")


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
    for key in _BASE64_KEYS & entries.keys() - changed.keys():
        value, media_type = entries[key], _media_type(entries, key)
        if isinstance(value, str) and media_type and not value.startswith(_SCHEME):
            changed[key] = _once(value, media_type, value, is_base64=True)
    return {**entries, **changed} if changed else entries


def _reference(value: Any) -> Any:
    """Return what stands for a URL that holds its data; anything else as it is."""
    if not isinstance(value, str) or not value.startswith("data:"):
        return value
    found = _DATA.match(value)
    if found is None:
        return value
    media_type, _, base64 = found.groups()
    return _once(value, media_type or "text/plain", value[found.end() :], is_base64=base64 is not None)


def _media_type(entries: dict[Any, Any], key: str) -> str:
    """Say what the data in base64 is that stands under a key; "" where nothing says that it is such."""
    if entries.get("type") == "text":  # Anthropic has plain texts with a media type.
        return ""
    for name in _TYPE_KEYS:
        if isinstance(entries.get(name), str):
            return str(entries[name])
    if key == "file_data":
        import mimetypes  # here, as it reads files of the system's

        return mimetypes.guess_type(str(entries.get("filename")))[0] or "application/octet-stream"
    sound = entries.get("format")
    return f"audio/{sound}" if isinstance(sound, str) and sound in _SOUNDS else ""


def _once(value: str, media_type: str, data: str, *, is_base64: bool) -> str:
    """Return the reference for a value that holds data, which is decoded when the value is met for the first time."""
    # Python keeps a text's hash, so that this is quick, and the text need not be kept.
    key = hash(value), len(value), media_type
    reference = _references.get(key)
    if reference is None:
        if len(_references) >= MOST_REFERENCES:
            _references.clear()
        reference = _references[key] = reference_to(_decoded(data, is_base64=is_base64), media_type)
    return reference


def _decoded(text: str, *, is_base64: bool) -> bytes:
    try:
        return binascii.a2b_base64(text) if is_base64 else unquote_to_bytes(text)
    except ValueError as error:
        pass_on(error)
        return text.encode(errors="surrogatepass")


def reference_to(data: bytes, media_type: str) -> str:
    """Describe data that is not recorded: its media type, its length, the beginning of its hash."""
    import hashlib  # here, as not every interpreter within another one can load it (3.12, with OpenSSL)

    digest = hashlib.sha256(data, usedforsecurity=False).hexdigest()[:16]
    return f"{_SCHEME}{media_type};bytes={len(data)};sha256={digest}"
