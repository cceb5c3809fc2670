"""The bridge to the OpenTelemetry API's context. Imported by the native half, and only where that package is loaded."""

from __future__ import annotations

from opentelemetry import context, trace


def attach(trace_id: int, span_id: int) -> context.Context:
    """Makes the span with these ids the parent of spans that the OpenTelemetry API starts from now on.

    Returns what was current before. Not the token that OpenTelemetry gives: it refers to the context that holds the
    span, and a span that kept it would keep itself alive.
    """
    before = context.get_current()
    span_context = trace.SpanContext(
        trace_id, span_id, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED)
    )
    context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span_context), before))
    return before


def detach(before: context.Context) -> None:
    """Restores what was current before `attach`."""
    context.attach(before)
