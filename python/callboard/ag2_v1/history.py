"""What a stream's events are as messages, in the shape that models' services take.

A stream only grows, as a rule. What was made of its events is kept as long as the stream is, so that each model call of
a long conversation converts the new events only, and the messages are the same objects as before: that is how a history
is known to share what it can with the one before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

from callboard.ag2.images import by_reference, reference_to

Message = dict[str, Any]


class Rendered:
    """The messages of a prompt and a list of events."""

    __slots__ = ("ends", "events", "messages", "prompt")

    def __init__(self) -> None:
        self.prompt: tuple[str, ...] = ()
        self.events: list[Any] = []
        self.messages: list[Message] = []
        self.ends: list[int] = []
        """For each event, how many messages there are up to it."""

    def update(self, prompt: tuple[str, ...], events: Sequence[Any]) -> list[Message]:
        """Bring the messages up to a prompt and events, converting only what is new. The list is the caller's own."""
        if prompt != self.prompt:
            self.prompt, self.events, self.ends = prompt, [], []
            self.messages = [{"role": "system", "content": "\n".join(prompt)}] if prompt else []
        known = self._count_known(events)
        first = 1 if self.prompt else 0
        del self.messages[self.ends[known - 1] if known else first :], self.events[known:], self.ends[known:]
        for event in events[known:]:
            self.messages.extend(of_event(event))
            self.events.append(event)
            self.ends.append(len(self.messages))
        return list(self.messages)

    def _count_known(self, events: Sequence[Any]) -> int:
        if len(events) >= len(self.events) and all(map(is_, self.events, events)):
            return len(self.events)
        same = (one is other for one, other in zip(self.events, events, strict=False))
        return next((index for index, is_same in enumerate(same) if not is_same), len(events))


_by_stream: WeakKeyDictionary[Any, Rendered] = WeakKeyDictionary()


def of_stream(stream: Any, prompt: tuple[str, ...], events: Sequence[Any]) -> list[Message]:
    """Convert the events that a model is given of a stream, under a prompt."""
    try:
        rendered = _by_stream.get(stream) or _by_stream.setdefault(stream, Rendered())
    except TypeError:  # A stream of the program's own that cannot be a weak key.
        rendered = Rendered()
    return rendered.update(prompt, events)


def of_event(event: Any) -> list[Message]:
    """Convert one event: into none, where it is not part of what a model reads."""
    for cls in type(event).__mro__:
        convert = _CONVERTERS.get(cls.__name__)
        if convert is not None:
            return convert(event)
    return []


def of_response(response: Any) -> Message:
    """Convert a model's response."""
    message: Message = {"role": "assistant", "content": response.content}
    if response.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in response.tool_calls.calls
        ]
    return message


def of_parts(parts: Any) -> Any:
    """Convert what a message or a tool's result consists of: text, where it is only that."""
    contents = [_of_part(part) for part in parts]
    if all(isinstance(content, str) for content in contents):
        return "\n".join(contents)
    whole = [{"type": "text", "text": content} if isinstance(content, str) else content for content in contents]
    return by_reference({"content": whole})["content"]


def _of_part(part: Any) -> Any:
    """Convert one part. A file's bytes are recorded by reference, as `images` has data in base64."""
    if hasattr(part, "content"):
        return part.content
    kind = getattr(part, "kind", "file")
    about = {"type": getattr(kind, "value", kind)}
    if hasattr(part, "url"):
        return {**about, "url": part.url}
    if hasattr(part, "file_id"):
        return {**about, "file_id": part.file_id}
    data = getattr(part, "data", None)
    if isinstance(data, bytes):
        return {**about, "url": reference_to(data, getattr(part, "media_type", "application/octet-stream"))}
    return data if isinstance(data, str) else json.dumps(data, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


_CONVERTERS: dict[str, Callable[[Any], list[Message]]] = {
    "ModelRequest": lambda event: [{"role": "user", "content": of_parts(event.parts)}],
    "ModelResponse": lambda event: [of_response(event)],
    "ModelMessage": lambda event: [{"role": "assistant", "content": event.content}],
    "ToolResultsEvent": lambda event: [
        {"role": "tool", "tool_call_id": result.parent_id, "content": of_parts(result.result.parts)}
        for result in event.results
    ],
    "CompactionSummary": lambda event: [{"role": "user", "content": event.summary}],
}
