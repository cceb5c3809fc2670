"""AG2's events as messages, in the shape of OpenAI's API.

AG2's clients map a conversation's events to what a service takes. The message of each event here is what
`ag2.config.openai` makes of it; the clients of other services map the same events. Every other event, such as a bare
`ModelMessage`, reaches no model and has no message.

The data of images, sounds and files is recorded by reference; see `callboard.ag2.images`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from callboard._interrupts import pass_on
from callboard.ag2.images import by_reference, reference_to

from .serializing import Encode

SUMMARY_PREFIX = "[Summary of earlier conversation]\n"

_EVENTS = ("ModelRequest", "ModelResponse", "ToolResultsEvent", "CompactionSummary")
_PARTS = ("TextInput", "DataInput", "BinaryInput", "UrlInput", "FileIdInput")


def messages_of(events: Iterable[Any], encode: Encode) -> list[dict[str, Any]]:
    """Return the messages that a model is sent for these events."""
    return [message for event in events for message in _of_event(event, encode)]


def message_of(response: Any) -> dict[str, Any]:
    """Return a model's answer as a message, with the arguments of its tool calls as the model wrote them."""
    message: dict[str, Any] = {"role": "assistant", "content": content_of_response(response)}
    if calls := calls_of(response):
        message["tool_calls"] = [_tool_call(call, call.arguments) for call in calls]
    return message


def content_of_response(response: Any) -> Any:
    """Return the text of a model's answer; None where it has none."""
    return getattr(getattr(response, "message", None), "content", None)


def calls_of(response: Any) -> list[Any]:
    """Return the tools that a model's answer asks for."""
    return list(getattr(getattr(response, "tool_calls", None), "calls", None) or [])


def content_of(parts: Iterable[Any], encode: Encode) -> Any:
    """Return the content of a message that consists of these parts: text where it is a single text, else a list."""
    contents = [_of_part(part, encode) for part in parts]
    if len(contents) == 1 and contents[0]["type"] == "text":
        return contents[0]["text"]
    return by_reference({"content": contents})["content"]


def _of_event(event: Any, encode: Encode) -> list[dict[str, Any]]:
    cls: Any = type(event)
    kind = _known_name(cls, _EVENTS)
    if kind == "ModelRequest":
        return [{"role": "user", "content": content_of(event.parts, encode)}]
    if kind == "CompactionSummary":
        return [{"role": "user", "content": f"{SUMMARY_PREFIX}{event.summary}"}]
    if kind == "ToolResultsEvent":
        return [
            {"role": "tool", "tool_call_id": one.parent_id, "content": content_of(one.result.parts, encode)}
            for one in event.results
        ]
    if kind == "ModelResponse":
        message: dict[str, Any] = {"role": "assistant", "content": content_of_response(event)}
        if calls := calls_of(event):
            message["tool_calls"] = [_tool_call(call, _sent_arguments(call)) for call in calls]
        return [message]
    return []


def _tool_call(call: Any, arguments: Any) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _sent_arguments(call: Any) -> Any:
    """Return a call's arguments as AG2 sends them back. It keeps them decoded; that is not to be done for it."""
    decoded = vars(call).get("_serialized_arguments")
    try:
        return json.dumps(json.loads(call.arguments or "{}") if decoded is None else decoded)
    except (TypeError, ValueError) as error:  # No JSON: AG2 cannot send the call back.
        pass_on(error)
        return call.arguments


def _of_part(part: Any, encode: Encode) -> dict[str, Any]:
    cls: Any = type(part)
    kind = _known_name(cls, _PARTS)
    if kind == "TextInput":
        return {"type": "text", "text": part.content}
    if kind == "FileIdInput":
        return {"type": "file", "file": {"file_id": part.file_id}}
    if kind == "UrlInput":
        return _of_url(part)
    if kind == "BinaryInput":
        return _of_bytes(part)
    return {"type": "text", "text": encode(getattr(part, "data", part))}


def _of_url(part: Any) -> dict[str, Any]:
    kind = _text(part.kind)
    return {"type": "image_url", "image_url": {"url": part.url}} if kind == "image" else {"type": kind, "url": part.url}


def _of_bytes(part: Any) -> dict[str, Any]:
    reference, media_type = reference_to(bytes(part.data), part.media_type), part.media_type
    kind = _text(part.kind)
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": reference}}
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": reference, "format": media_type.rpartition("/")[2]}}
    filename = part.vendor_metadata.get("filename")
    return {"type": "file", "file": {"file_data": reference, **({"filename": filename} if filename else {})}}


def _text(kind: Any) -> str:
    """Return the kind of a part: a member of an enum, or its value where the event was read from a log."""
    return str(getattr(kind, "value", kind))


@lru_cache(maxsize=256)
def _known_name(cls: type, names: tuple[str, ...]) -> str | None:
    """Return the first of these names that a class or one of its bases has."""
    return next((base.__name__ for base in cls.__mro__ if base.__name__ in names), None)
