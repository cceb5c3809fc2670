"""What the tests of the hooks record with: a provider that draws what it is told.

`SPAN_TEXTS` and `EVENT_TEXTS` say what a drawing shows of each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import callboard
from callboard import EventKind, SpanContext, SpanKind


@dataclass
class Span:
    """One span, as a provider was told of it."""

    kind: str
    id: str
    parent: Span | None
    attributes: dict[str, Any]
    began: Any = None
    ended_at: Any = None
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)
    ended: bool = False

    def __getitem__(self, key: str) -> Any:
        return self.attributes[key]

    def all(self, kind: str) -> list[Span]:
        """The spans of this kind in and under this one, in order of their starts."""
        mine = [self] if self.kind == kind else []
        return mine + [span for child in self.ordered() for span in child.all(kind)]

    def only(self, kind: str) -> Span:
        [span] = self.all(kind)
        return span

    def event(self, kind: str) -> dict[str, Any]:
        [attributes] = self.found(kind)
        return attributes

    def found(self, kind: str) -> list[dict[str, Any]]:
        """The attributes of the events of this kind in and under this span, span by span."""
        mine = [attributes for name, attributes in self.events if name == kind]
        return mine + [attributes for child in self.ordered() for attributes in child.found(kind)]

    def ordered(self) -> list[Span]:
        return sorted(self.children, key=lambda span: span.began)

    @property
    def error(self) -> str | None:
        """What the span's exception says, as `type: message`."""
        for name, attributes in self.events:
            if name == "exception":
                return f"{attributes['exception.type']}: {attributes['exception.message']}"
        return None


class Recorder(callboard.TelemetryProvider):
    """A provider that keeps everything, written against the six methods that a user's provider has."""

    def __init__(self, manager: callboard.InstrumentationManager) -> None:
        self.manager = manager
        self.roots: list[Span] = []
        self.spans: dict[str, Span] = {}

    def start_trace(self, name: str, core_span_id: str, attributes: dict[str, Any] | None = None) -> None:
        self._keep("workflow", core_span_id, None, attributes)

    def start_span(
        self,
        kind: SpanKind,
        core_span_id: str,
        parent_context: SpanContext | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        assert parent_context is not None
        self._keep(str(getattr(kind, "value", kind)), core_span_id, parent_context.core_span_id, attributes)

    def set_span_attribute(self, context: SpanContext, key: str, value: Any) -> None:
        self.spans[str(context.core_span_id)].attributes[key] = value

    def end_span(self, context: SpanContext) -> None:
        span = self.spans[str(context.core_span_id)]
        span.ended = True
        span.began, span.ended_at = context.timestamp, context.ended_at

    def record_event(
        self, span_context: SpanContext, event_kind: EventKind, attributes: dict[str, Any] | None = None
    ) -> None:
        name = str(getattr(event_kind, "value", event_kind))
        self.spans[str(span_context.core_span_id)].events.append((name, attributes or {}))

    def convert_attribute_value(self, value: Any) -> Any:
        return value

    def _keep(self, kind: str, core_span_id: str, parent_id: str | None, attributes: dict[str, Any] | None) -> None:
        parent = None if parent_id is None else self.spans[parent_id]
        span = self.spans[core_span_id] = Span(kind, core_span_id, parent, dict(attributes or {}))
        (self.roots if parent is None else parent.children).append(span)

    @property
    def root(self) -> Span:
        """The one run, once everything of it has arrived."""
        assert self.manager.flush(10)
        [root] = self.roots
        assert all(span.ended for span in self.spans.values())
        return root

    def spent(self) -> tuple[int, int]:
        """The tokens of all COST events, input and output."""
        costs = self.root.found("cost")
        return tuple(sum(cost.get(f"ag2.llm.{way}_tokens", 0) for cost in costs) for way in ("input", "output"))

    def tree(self, *hidden: str, declined: bool = False) -> str:
        """The run as text, a line a span or event, without `hidden` kinds and reply functions that declined."""
        return "\n".join(draw(self.root, set(hidden), declined))


def draw(span: Span, hidden: set[str], declined: bool, depth: int = 0) -> Iterator[str]:
    indent = "  " * depth
    failed = f" !! {span.error}" if span.error else ""
    yield f"{indent}{span.kind}{said(SPAN_TEXTS.get(span.kind), span.attributes)}{failed}"
    for kind, attributes in span.events:
        if kind not in hidden and kind != "exception":
            yield f"{indent}  * {kind}{said(EVENT_TEXTS.get(kind), attributes)}"
    for child in span.ordered():
        if child.kind not in hidden and (declined or child.attributes.get("ag2.final") is not False):
            yield from draw(child, hidden, declined, depth + 1)


def said(describe: Callable[[dict[str, Any]], str] | None, attributes: dict[str, Any]) -> str:
    return f" {describe(attributes)}" if describe else ""


def text_of(message: Any) -> str:
    if isinstance(message, dict):
        calls = [f"{call['function']['name']}()" for call in message.get("tool_calls") or ()]
        message = " ".join(calls) or message.get("content")
    return " / ".join(str(message).splitlines())


SPAN_TEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "chats": lambda a: f"{a['ag2.chat_function']} of {a['ag2.chat_queue_length']}",
    "chat": lambda a: f"{a['ag2.chat_function']} {a['ag2.agent.sender']} -> {a['ag2.agent.recipient']}" + hidden(a),
    "nested_chat": lambda a: (
        f"{a['ag2.chat_function']} of {a['ag2.chat_queue_length']} for {a['ag2.agent.recipient']}: "
        f"{text_of(a.get('ag2.chat_result.summary', '-'))}"
    ),
    "group_chat": lambda a: (
        f"{a['ag2.chat_function']} {a['ag2.agent.sender']}: {a.get('ag2.groupchat.termination', '-')}"
    ),
    "groupchat_select_speaker": lambda a: (
        f"{a['ag2.agent.last_speaker']} -> {a.get('ag2.agent.selected', '-')} ({a.get('ag2.transition_reason', '-')})"
    ),
    "round": lambda a: f"{a['ag2.round']} of {a['ag2.rounds_max']}",
    "reply": lambda a: (
        f"{a['ag2.agent.recipient']} {a['ag2.reply_function']}: {text_of(a.get('ag2.reply', '-'))}" + hidden(a)
    ),
    "reply_function": lambda a: a["ag2.reply_function"] + (" declined" if a.get("ag2.final") is False else ""),
    "swarm_on_condition": lambda a: (
        f"{a['ag2.swarm.source']} -> {a['ag2.swarm.target']}: {a['ag2.transition_reason']} {a['ag2.swarm.condition']}"
    ),
    "summary": lambda a: f"{a['ag2.summary.function']}: {a.get('ag2.summary', '-')}",
    "llm_call": lambda a: f"{a['gen_ai.request.model']} of {a['gen_ai.agent.name']}",
    "tool_call": lambda a: f"{a['gen_ai.tool.name']} by {a['gen_ai.agent.name']}",
    "human_input": lambda a: f"{a['gen_ai.agent.name']}: {a.get('ag2.human_input.response', '-')}",
    "code_execution": lambda a: (
        f"{' '.join(a['ag2.code_execution.language'])} by {a['gen_ai.agent.name']}: "
        f"{a.get('ag2.code_execution.exit_code', '-')}" + hidden(a)
    ),
    "reasoning": lambda a: (
        f"{a['ag2.reasoning.step']} by {a['gen_ai.agent.name']}"
        + "".join(f", {key}: {text_of(a[f'ag2.reasoning.{key}'])}" for key in REASONED if f"ag2.reasoning.{key}" in a)
    ),
}


# What a step of reasoning may be about, and what may come of it.
REASONED = ("node", "depth", "options", "rating", "ratings", "answer")


def hidden(attributes: dict[str, Any]) -> str:
    return " [internal]" if attributes.get("callboard.agent.internal") else ""


EVENT_TEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "agent_creation": lambda a: str(a["ag2.agent.name"]) + hidden(a),
    "groupchat_creation": lambda a: f"{', '.join(a['agents'])} by {a['speaker_selection_method']}",
    "agent_transition": lambda a: f"{a['ag2.agent.last_speaker']} -> {a['ag2.agent.next_speaker']}",
    "agent_send_msg": lambda a: (
        f"{a['ag2.agent.sender']} -> {a['ag2.agent.recipient']}: {text_of(a['ag2.message'])}"
        + (" (silent)" if a["ag2.silent"] else "")
    ),
    "llm_create": lambda a: "failed" if a["ag2.llm.is_error"] else "cached" if a["ag2.llm.is_cached"] else "answered",
    "tool_execution": lambda a: f"{a['ag2.function.name']}: {a['ag2.function.content']}",
    "finding": lambda a: str(a["callboard.finding"]),
    "swarm_transition": lambda a: f"{a['ag2.swarm.source']} -> {a.get('ag2.agent.next_speaker', 'nobody')}",
    "console_print": lambda a: str(a["ag2.console.event"]),
}
