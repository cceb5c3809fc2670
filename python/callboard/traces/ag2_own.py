"""AG2's own tracing, where it is on too: it is said once, and nothing is in a trace twice.

AG2 traces itself by OpenTelemetry (`autogen.opentelemetry`, in 1.x a middleware and a listener), and its spans would be
children of callboard's that stand for the same work. Within a run, as they start:

- AG2 classic's are left out where callboard exports the run: whatever they say, the run says;
- else they are as they would be without callboard: in a trace of their own. AG2 1.x always has them so, as its hubs and
  its evaluations read their own spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callboard import SpanContext, current_span
from callboard.ag2.faults import contain, logger
from callboard.ag2.patching import Patches

from . import closures

if TYPE_CHECKING:
    from opentelemetry import trace

SDK = "opentelemetry.sdk.trace"
SCOPE = "opentelemetry.instrumentation.ag2"
"""The scope of AG2's own spans, and what the one of `autogen.beta` begins with."""

_told: set[str] = set()


def install(patches: Patches) -> None:
    """Watch AG2's own spans as they start, and lead what it wrapped before to the hooks."""
    patches.when_loaded(SDK, _watch_tracers)
    closures.install(patches)


def _watch_tracers(patches: Patches) -> None:
    def make(function: Any) -> Any:
        def start_span(tracer: Any, name: Any, context: Any = None, *args: Any, **kwargs: Any) -> Any:
            try:
                scope = getattr(tracer, "_instrumentation_scope", None) if patches.live else None
                if scope is not None and scope.name.startswith(SCOPE) and (run := current_span()) is not None:
                    context, instead = _apart(scope, run, context)
                    if instead is not None:
                        return instead
            except Exception as error:
                contain("AG2's own spans", error)
            return function(tracer, name, context, *args, **kwargs)

        return start_span

    patches.wrap(f"{SDK}:Tracer.start_span", make)


def _apart(scope: Any, run: SpanContext, context: Any) -> tuple[Any, trace.Span | None]:
    """Give the context in which a span of AG2's is to start, or what is to stand for the span."""
    from opentelemetry import trace

    from callboard._otel import OurSpan

    around = trace.get_current_span(context)
    if scope.name == SCOPE and scope.version and run.manager is not None and run.manager._exports():
        _say("inside of runs that it exports, AG2's spans are left out")
        return context, trace.NonRecordingSpan(around.get_span_context())
    _say("AG2's spans go on in traces of their own, beside callboard's")
    if isinstance(around, OurSpan):
        context = trace.set_span_in_context(around.beside, context)
    return context, None


def _say(what_becomes_of_them: str) -> None:
    if _told:
        return
    _told.add(what_becomes_of_them)
    logger.warning(
        "AG2's own tracing is on as well, and callboard records the same work: %s. To trace once, leave out "
        "instrument_agent, instrument_llm_wrapper and instrument_pattern, or in AG2 1.x TelemetryMiddleware and "
        "HubTelemetryListener",
        what_becomes_of_them,
    )
