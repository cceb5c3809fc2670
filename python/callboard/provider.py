"""The extension point in Python: a provider that you write."""

from __future__ import annotations

from abc import ABC, abstractmethod

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from typing import Any

    from ._native import SpanContext
    from .kinds import EventKind, SpanKind


class TelemetryProvider(ABC):
    """Receives what is recorded. Derive from it, define the six methods, and register an instance with a manager.

    Calls come from one thread of callboard's, never two at once, in the order in which things happened. They come
    shortly after the happening; ``manager.flush()`` waits for them, and so does the end of a chat for a short while.
    What a method returns is ignored. What it raises is logged once and counted, and harms neither the program nor
    another provider. A provider may be slow: what arrives meanwhile waits in a bounded queue.

    It may also have ``flush()`` and ``shutdown()``, called when the program asks for it and at its end.
    """

    @abstractmethod
    def start_trace(self, name: str, core_span_id: str, attributes: dict[str, Any] | None = None) -> SpanContext | None:
        """A run began. Called by keyword. ``core_span_id`` is the id of its WORKFLOW span: 16 hex digits."""

    @abstractmethod
    def start_span(
        self,
        kind: SpanKind,
        core_span_id: str,
        parent_context: SpanContext | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> SpanContext | None:
        """A span began. Called by keyword. ``kind`` is plain text for a kind of the program's own."""

    @abstractmethod
    def set_span_attribute(self, context: SpanContext, key: str, value: Any) -> None:
        """An attribute was set on a running span; of several values under one key the last one counts."""

    @abstractmethod
    def end_span(self, context: SpanContext) -> None:
        """A span ended; the WORKFLOW span ends the run."""

    @abstractmethod
    def record_event(
        self, span_context: SpanContext, event_kind: EventKind, attributes: dict[str, Any] | None = None
    ) -> None:
        """Something happened in a span. ``event_kind`` is plain text for a kind of the program's own."""

    @abstractmethod
    def convert_attribute_value(self, value: Any) -> Any:
        """What the provider's own methods make of a value; callboard does not call it."""


class EventContext:
    """An event: its kind and its attributes."""

    __match_args__ = ("kind", "attributes")

    def __init__(self, kind: EventKind, attributes: dict[str, Any] | None = None) -> None:
        self.kind = kind
        self.attributes = {} if attributes is None else attributes

    def __repr__(self) -> str:
        return f"EventContext(kind={self.kind!r}, attributes={self.attributes!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EventContext):
            return NotImplemented
        return self.kind == other.kind and self.attributes == other.attributes

    __hash__ = None  # type: ignore[assignment]  # as a dataclass that compares by its fields
