"""The bridge to the OpenTelemetry API's context. Imported by the native half, and only where that package is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import context, trace

if TYPE_CHECKING:
    from contextvars import Token


def attach(trace_id: int, span_id: int) -> Token[context.Context]:
    """Makes the span with these ids the parent of spans that the OpenTelemetry API starts from now on."""
    span_context = trace.SpanContext(
        trace_id, span_id, is_remote=False, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED)
    )
    return context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span_context)))


def detach(token: Token[context.Context]) -> None:
    """Restores what was current before `attach`; in another context than its own there is nothing to restore."""
    try:
        context._RUNTIME_CONTEXT.detach(token)
    except ValueError:
        return
