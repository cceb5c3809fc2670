"""The bridge to the OpenTelemetry API's context. Imported by the native half, and only where that package is loaded.

A span comes through here once somebody asks within it for OpenTelemetry's current context: as a rule, never. The object
that keeps OpenTelemetry's context is replaced while runs are open, and put back when the last one ends.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from ._load import native

(_SPAN,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""Where a context has its current span."""

_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class OurSpan(trace.NonRecordingSpan):
    """Stands for a span of callboard's where the OpenTelemetry API looks for the current one."""

    def __init__(self, ids: bytes, around: Context) -> None:
        self._ids = ids
        self._around = around
        self.is_left = False
        """Whether it was attached, and is detached again."""

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


def within(ids: bytes, around: Context) -> Context:
    """Make the context in which a span is current, within another. `ids` are the trace's 16 bytes and the span's 8."""
    inner = Context(around)
    # Nobody else has it yet: `set_value` would copy it twice.
    dict.__setitem__(inner, _SPAN, OurSpan(ids, around))
    return inner


def left(attached: Context, current: Context) -> Context:
    """Note that the span of a context is detached; return what is to be current where `current` is now.

    Spans may be detached in another order than they were attached in, as generators that take turns do.
    """
    span = attached.get(_SPAN)
    if isinstance(span, OurSpan):
        span.is_left = True
    while isinstance(span := current.get(_SPAN), OurSpan) and span.is_left:
        current = span._around
    return current


class Runtime(ContextVarsRuntimeContext):
    """Keeps the current context where OpenTelemetry does, and gives it with callboard's current span in it."""

    def __init__(self, kept: ContextVar[Context]) -> None:
        self._current_context = kept

    def attach(self, context: Context) -> Token[Context]:
        """Have a context be the current one, as it is."""
        if native.with_current_span(context) is not context:  # A span began in it: without the span it is another one.
            context = Context(context)
        return super().attach(context)

    def get_current(self) -> Context:
        """Give what was attached last, with the span that has become current in it since."""
        current: Context = native.with_current_span(super().get_current())
        return current


class Elsewhere:
    """Has the current context where OpenTelemetry was told to keep it otherwise than in a variable."""

    get = staticmethod(context.get_current)
    set = staticmethod(context.attach)


Replacement = tuple[object, Runtime]
"""What keeps OpenTelemetry's context, and what is to keep it while runs are open."""


def bridge() -> tuple[ContextVar[Context] | type[Elsewhere], Replacement | None]:
    """Find what has OpenTelemetry's current context, and what to replace so that it has callboard's span in it.

    Nothing is to be replaced where OpenTelemetry keeps its context in another way than usual.
    """
    context.get_current()  # Chooses how it is kept, where nobody did.
    runtime = getattr(context, "_RUNTIME_CONTEXT", None)
    kept = getattr(runtime, "_current_context", None)
    if type(runtime) is not ContextVarsRuntimeContext or not isinstance(kept, ContextVar):
        return Elsewhere, None
    return kept, (runtime, Runtime(kept))
