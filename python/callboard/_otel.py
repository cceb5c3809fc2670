"""The bridge to the OpenTelemetry API's context. Imported by the native half, and only where that package is loaded."""

from __future__ import annotations

from opentelemetry import context, trace


class OurSpan(trace.NonRecordingSpan):
    """Stands for a span of callboard's where the OpenTelemetry API looks for the current one."""

    def __init__(self, ids: trace.SpanContext, below: trace.Span) -> None:
        super().__init__(ids)
        self.beside: trace.Span = below.beside if isinstance(below, OurSpan) else below
        """What would be current without callboard: the nearest span around that is none of ours."""


def attach(trace_id: int, span_id: int) -> context.Context:
    """Makes the span with these ids the parent of spans that the OpenTelemetry API starts from now on.

    Returns what was current before. Not the token that OpenTelemetry gives: it refers to the context that holds the
    span, and a span that kept it would keep itself alive.
    """
    before = context.get_current()
    ids = trace.SpanContext(trace_id, span_id, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    span = OurSpan(ids, trace.get_current_span(before))
    context.attach(trace.set_span_in_context(span, before))
    return before


def detach(before: context.Context) -> None:
    """Restores what was current before `attach`."""
    context.attach(before)
