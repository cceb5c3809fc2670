"""Data that is sent to a model as JSON, rendered by the serializer that AG2 sends it with.

    a tool returns {"day": date(2026, 1, 1), "ids": {1}}     the model gets {"day":"2026-01-01","ids":[1]}

An iterator can be read only once, and AG2 is the one to read it: data with an iterator in it is recorded as its `str`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from callboard._interrupts import pass_on

Encode = Callable[[Any], str]
"""Renders data as the text that a model gets."""

MAX_DEPTH = 32
"""How deep data may nest to be rendered."""


def encoder_of(serializer: Any) -> Encode:
    """Return how a serializer of AG2's (`fast_depends`) renders data."""

    def encode(data: Any) -> str:
        if serializer is None or not is_rereadable(data):
            return str(data)
        try:
            text: str = serializer.encode(data).decode()
        except (TypeError, ValueError) as error:  # AG2 cannot send such data either, and reports that to the program.
            pass_on(error)
            return str(data)
        return text

    return encode


def is_rereadable(data: Any, depth: int = 0) -> bool:
    """Whether rendering data leaves it as it is, so that AG2 can render it again."""
    if isinstance(data, Iterator) or depth >= MAX_DEPTH:
        return False
    return all(is_rereadable(part, depth + 1) for part in _parts_of(data))


def _parts_of(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return list(data.values())
    if isinstance(data, (list, tuple, set, frozenset, deque)):
        return list(data)
    if is_dataclass(data) and not isinstance(data, type):
        return [getattr(data, field.name, None) for field in fields(data)]
    if hasattr(type(data), "__pydantic_fields__"):
        return [*vars(data).values(), *(getattr(data, "__pydantic_extra__", None) or {}).values()]
    return []
