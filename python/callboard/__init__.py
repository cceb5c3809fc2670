"""Telemetry for teams of agents: who spoke to whom, why, and what each call cost.

    from callboard import InstrumentationManager, CostTrackerProvider, telemetry_context

    manager = InstrumentationManager()
    costs = CostTrackerProvider()
    manager.register_provider(costs)
    with telemetry_context(manager, "My Workflow"):
        ...  # plain AG2 code
        print(costs.total_cost)

Recording never raises and never waits: what goes wrong in telemetry is logged, as logger ``callboard``, and counted.
"""

from __future__ import annotations

from ._load import native as _native
from .budget import Budget, BudgetExceeded
from .context import get_current_telemetry, telemetry_context
from .instrument import instrument_ag2, uninstrument_ag2
from .kinds import EventKind, SpanKind
from .provider import EventContext, TelemetryProvider

InstrumentationManager = _native.InstrumentationManager
SpanContext = _native.SpanContext
OpenTelemetryProvider = _native.OpenTelemetryProvider
CostTrackerProvider = _native.CostTrackerProvider
MermaidDiagramProvider = _native.MermaidDiagramProvider
current_span = _native.current_span
__version__ = _native.__version__

for _provider in (OpenTelemetryProvider, CostTrackerProvider, MermaidDiagramProvider):
    TelemetryProvider.register(_provider)

__all__ = [
    "Budget",
    "BudgetExceeded",
    "CostTrackerProvider",
    "EventContext",
    "EventKind",
    "InstrumentationManager",
    "MermaidDiagramProvider",
    "OpenTelemetryProvider",
    "SpanContext",
    "SpanKind",
    "TelemetryProvider",
    "__version__",
    "current_span",
    "get_current_telemetry",
    "instrument_ag2",
    "telemetry_context",
    "uninstrument_ag2",
]
