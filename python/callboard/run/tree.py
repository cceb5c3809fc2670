"""The run as a tree of its spans: a provider that keeps so many of them, and the lines that show them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from enum import Enum
from typing import Any

from callboard import EventKind, SpanContext, SpanKind, TelemetryProvider

from .stderr import cut, one_line, width

KEPT_SPANS = 2_000
"""The most spans that are kept; of the others it is told how many they are."""

KEPT_DEPTH = 64
"""The deepest span that is kept: what stands in it is counted only."""

NAME_COLUMNS = 80
"""A title is cut to so many columns."""

NAMED_BY = {"llm_call": "gen_ai.request.model", "tool_call": "gen_ai.tool.name", "reply": "gen_ai.agent.name"}
NAMED_BY |= {"round": "ag2.round", "reply_function": "ag2.reply_function"}
"""By kind, the attribute that tells a span from its like."""

CALLED = {"llm_call": "chat", "tool_call": "execute_tool", "reply": "invoke_agent"}
"""What a kind is called where OpenTelemetry has a name for it, as in the exported trace."""


class Span:
    """A span as the tree shows it. Times are seconds of the Unix epoch."""

    __slots__ = ("began", "children", "cost", "depth", "ended", "failed", "title", "tokens", "unpriced")

    def __init__(self, title: str, depth: int) -> None:
        self.title = title
        self.depth = depth
        self.children: list[Span] = []
        self.began = time.time()
        self.ended: float | None = None
        self.failed = False
        self.unpriced = False
        self.tokens: tuple[int, int] | None = None
        self.cost: float | None = None

    def paid(self, told: dict[str, Any]) -> None:
        """Add what a COST event tells."""
        if "ag2.cost" in told:
            self.cost = (self.cost or 0.0) + float(told["ag2.cost"])
        else:
            self.unpriced = True
        if "ag2.llm.input_tokens" in told or "ag2.llm.output_tokens" in told:
            more = [told.get(f"ag2.llm.{side}_tokens") or 0 for side in ("input", "output")]
            before = self.tokens or (0, 0)
            self.tokens = (before[0] + int(more[0]), before[1] + int(more[1]))

    def facts(self) -> str:
        """How long it took, or has taken; whether it failed; its tokens and its cost."""
        seconds = max(0.0, (self.ended or time.time()) - self.began)
        facts = f"{lasting(seconds):>9}{' …' if self.ended is None else ''}{'  FAILED' if self.failed else ''}"
        paid = [f"{self.tokens[0]} + {self.tokens[1]} tokens"] if self.tokens is not None else []
        paid += [f"${self.cost:.6f}"] if self.cost is not None else []
        paid += ["unpriced"] if self.unpriced else []
        return f"{facts}  {', '.join(paid)}".rstrip()


class Tree(TelemetryProvider):
    """Keeps the spans of a run. `lines` may be asked for from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[str, Span] = {}
        """All that are kept, by their ids: a span may begin in one that has ended."""
        self._roots: list[Span] = []
        self._kept = 0
        self.left_out = 0

    def start_trace(self, name: str, core_span_id: str, attributes: dict[str, Any] | None = None) -> None:
        """Keep the run's root."""
        self._begin(core_span_id, name, None)

    def start_span(
        self,
        kind: SpanKind | str,
        core_span_id: str,
        parent_context: SpanContext | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        """Keep a span, where there is room."""
        title = title_of(kind, attributes or {})
        self._begin(core_span_id, title, None if parent_context is None else parent_context.core_span_id)

    def set_span_attribute(self, context: SpanContext, key: str, value: Any) -> None:
        """Nothing: what a title says is known when its span begins."""

    def end_span(self, context: SpanContext) -> None:
        """Note when the span began and ended, and how."""
        with self._lock:
            span = self._spans.get(context.core_span_id or "")
            if span is None:
                return
            if context.timestamp is not None:
                span.began = context.timestamp.timestamp()
            span.ended = time.time() if context.ended_at is None else context.ended_at.timestamp()
            span.failed = span.failed or context.error is not None
        self.changed(span)

    def record_event(
        self, span_context: SpanContext, event_kind: EventKind | str, attributes: dict[str, Any] | None = None
    ) -> None:
        """Add a cost to its span, and mark one that failed."""
        with self._lock:
            span = self._spans.get(span_context.core_span_id or "")
            if span is not None and event_kind == EventKind.COST:
                span.paid(attributes or {})
            elif span is not None and event_kind == EventKind.EXCEPTION:
                span.failed = True

    def convert_attribute_value(self, value: Any) -> Any:
        """Nothing: values are read as they come."""
        return value

    def changed(self, ended: Span | None) -> None:
        """Nothing here: a span began, or this one ended."""

    def _begin(self, span_id: str, title: str, parent_id: str | None) -> None:
        with self._lock:
            parent = self._spans.get(parent_id or "")
            depth = 0 if parent is None else parent.depth + 1
            if self._kept >= KEPT_SPANS or depth > KEPT_DEPTH or (parent is None and parent_id is not None):
                self.left_out += 1
                return
            span = Span(cut(one_line(title), NAME_COLUMNS), depth)
            self._kept += 1
            self._spans[span_id] = span
            (self._roots if parent is None else parent.children).append(span)
        self.changed(None)

    def lines(self) -> list[str]:
        """The tree as it is now, a line a span."""
        with self._lock:
            drawn = list(branches(self._roots))
            columns = max((width(text) for text, _ in drawn), default=0)
            lines = [f"{text}{' ' * (columns - width(text))} {span.facts()}" for text, span in drawn]
            if self.left_out:
                lines.append(f"and {self.left_out:,} more span{'' if self.left_out == 1 else 's'}, not kept here")
        return lines


def branches(roots: list[Span]) -> Iterator[tuple[str, Span]]:
    """Every span with its title as it stands in the tree, parents first."""
    waiting = [(root, "", "") for root in reversed(roots)]
    while waiting:
        span, first, rest = waiting.pop()
        yield first + span.title, span
        for child in reversed(span.children):
            is_last = child is span.children[-1]
            waiting.append((child, rest + ("└─ " if is_last else "├─ "), rest + ("   " if is_last else "│  ")))


def title_of(kind: SpanKind | str, attributes: dict[str, Any]) -> str:
    """The span's name in the exported trace, and what tells it from its like."""
    name = str(kind.value if isinstance(kind, Enum) else kind)
    called = CALLED.get(name, name)
    if name in ("chat", "nested_chat", "summary"):
        sender, recipient = (attributes.get(f"ag2.agent.{role}") for role in ("sender", "recipient"))
        return f"{called}: {sender} → {recipient}" if sender and recipient else called
    which = attributes.get(NAMED_BY.get(name, ""))
    return called if which is None else f"{called} {which}"


def lasting(seconds: float) -> str:
    """A duration for people."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.2f} s"
    return f"{seconds:,.0f} s"
