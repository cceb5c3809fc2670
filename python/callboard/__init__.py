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

from ._load import native as _core
from .budget import Budget, BudgetExceeded
from .context import get_current_telemetry, telemetry_context
from .instrument import instrument_ag2, uninstrument_ag2
from .kinds import EventKind, SpanKind
from .provider import EventContext, TelemetryProvider

InstrumentationManager = _core.InstrumentationManager
SpanContext = _core.SpanContext
OpenTelemetryProvider = _core.OpenTelemetryProvider
CostTrackerProvider = _core.CostTrackerProvider
MermaidDiagramProvider = _core.MermaidDiagramProvider
current_span = _core.current_span
__version__ = _core.__version__

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

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from . import redaction as redaction
else:

    def __getattr__(name: str) -> object:
        if name == "redaction":  # Seldom used, and it takes its time to import.
            from importlib import import_module

            return import_module(".redaction", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
