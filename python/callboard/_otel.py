"""The bridge to the OpenTelemetry API's context. Imported by the native half, and only where that package is loaded.

Each span of callboard's comes through here twice, so little is done: what few ask for is made once somebody asks.
"""

from __future__ import annotations

from contextvars import ContextVar

from opentelemetry import context, trace
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

(_SPAN,) = trace.set_span_in_context(trace.INVALID_SPAN, context.Context())
"""Where a context has its current span."""

_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class OurSpan(trace.NonRecordingSpan):
    """Stands for a span of callboard's where the OpenTelemetry API looks for the current one."""

    def __init__(self, ids: bytes, around: context.Context) -> None:
        self._ids = ids
        self._around = around

    @property
    def beside(self) -> trace.Span:
        """What would be current without callboard: the nearest span around that is none of ours."""
        around = self._around
        while isinstance(below := around.get(_SPAN), OurSpan):
            around = below._around
        return trace.get_current_span(around)

    def get_span_context(self) -> trace.SpanContext:
        """Say which span this is."""
        trace_id, span_id = (int.from_bytes(each, "big") for each in (self._ids[:16], self._ids[16:]))
        return trace.SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)

    def __repr__(self) -> str:
        return f"OurSpan({self.get_span_context()!r})"


def within(ids: bytes, around: context.Context) -> context.Context:
    """Make the context in which a span is current, within another. `ids` are the trace's 16 bytes and the span's 8."""
    inner = context.Context(around)
    # Nobody else has it yet: `set_value` would copy it twice.
    dict.__setitem__(inner, _SPAN, OurSpan(ids, around))
    return inner


class Elsewhere:
    """Has the current context where OpenTelemetry was told to keep it otherwise than in a variable."""

    get = staticmethod(context.get_current)
    set = staticmethod(context.attach)


def current() -> ContextVar[context.Context] | type[Elsewhere]:
    """Tell what has the current context: the variable itself, which is the quickest way to it, as a rule."""
    context.get_current()  # Chooses how it is kept, where nobody did.
    runtime = getattr(context, "_RUNTIME_CONTEXT", None)
    kept = runtime._current_context if type(runtime) is ContextVarsRuntimeContext else None
    return kept if isinstance(kept, ContextVar) else Elsewhere
