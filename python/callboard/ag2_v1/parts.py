"""What a message or a tool's result consists of, as it is recorded; the messages themselves are `HOOKS`'s."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

from callboard.ag2.images import by_reference, reference_to


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
