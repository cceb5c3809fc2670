"""The bridge to the OpenTelemetry API's context. Imported by the native half, and only where that package is loaded.

Each span of callboard's comes through here twice, so little is done: what few ask for is made once somebody asks.
"""

from __future__ import annotations

from opentelemetry import context, trace

(_SPAN,) = trace.set_span_in_context(trace.INVALID_SPAN, context.Context())
"""Where a context has its current span."""

_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class OurSpan(trace.NonRecordingSpan):
    """Stands for a span of callboard's where the OpenTelemetry API looks for the current one."""

    def __init__(self, trace_id: int, span_id: int, around: context.Context) -> None:
        self._ids = trace_id, span_id
        below = around.get(_SPAN)
        self.beside: trace.Span = below.beside if isinstance(below, OurSpan) else trace.get_current_span(around)
        """What would be current without callboard: the nearest span around that is none of ours."""

    def get_span_context(self) -> trace.SpanContext:
        """Say which span this is."""
        return trace.SpanContext(*self._ids, is_remote=False, trace_flags=_SAMPLED)

    def __repr__(self) -> str:
        return f"OurSpan({self.get_span_context()!r})"


def attach(trace_id: int, span_id: int) -> context.Context:
    """Makes the span with these ids the parent of spans that the OpenTelemetry API starts from now on.

    Returns what was current before. Not the token that OpenTelemetry gives: it refers to the context that holds the
    span, and a span that kept it would keep itself alive.
    """
    before = context.get_current()
    within = context.Context(before)
    # Nobody else has it yet: `set_value` would copy it twice.
    dict.__setitem__(within, _SPAN, OurSpan(trace_id, span_id, before))
    context.attach(within)
    return before


detach = context.attach
"""Restores what was current before `attach`."""
