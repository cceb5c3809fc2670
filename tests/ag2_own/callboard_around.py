"""A plugin of pytest: every test runs inside a telemetry context, its fixtures too, with three providers.

What callboard itself complains of meanwhile goes to the outcomes (`outcomes.py`): a hook that fails changes nothing in
the program, and is a fault all the same.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from callboard import (
    CostTrackerProvider,
    InstrumentationManager,
    MermaidDiagramProvider,
    TelemetryProvider,
    telemetry_context,
)

COMPLAINTS = pytest.StashKey[list[str]]()
RECORDED = pytest.StashKey["Counter[str]"]()

NO_COMPLAINT = "AG2's own tracing is on as well"
"""What callboard says once where a test of AG2's own tracing switches that on: nothing went wrong."""


class Recorder(TelemetryProvider):
    """A provider written in Python, which counts what it is told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def start_trace(self, *_: Any, **__: Any) -> None:
        self.counts["runs"] += 1

    def start_span(self, *_: Any, **__: Any) -> None:
        self.counts["spans"] += 1

    def record_event(self, *_: Any, **__: Any) -> None:
        self.counts["events"] += 1

    def set_span_attribute(self, *_: Any, **__: Any) -> None: ...

    def end_span(self, *_: Any, **__: Any) -> None:
        self.counts["ended"] += 1

    def convert_attribute_value(self, value: Any) -> Any:
        return value


class Complaints(logging.Handler):
    """Keeps what callboard logs: at the level of a warning and above, something went wrong in it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({record.exc_info[1]!r})"
        if not text.startswith(NO_COMPLAINT):
            self.said.append(text)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around everything of a test. Where its task copies the context, it copies the current span with it."""
    complaints = Complaints()
    logger = logging.getLogger("callboard")
    logger.addHandler(complaints)
    recorder, costs, diagram = Recorder(), CostTrackerProvider(), MermaidDiagramProvider()
    manager = InstrumentationManager()
    for provider in (costs, diagram, recorder):
        manager.register_provider(provider)
    try:
        with telemetry_context(manager, item.nodeid):
            result = yield
        # As a program reads them.
        _ = costs.total_cost, costs.cost_history, diagram.generate_sequence_diagram()
        manager.shutdown()
    finally:
        logger.removeHandler(complaints)
    if recorder.counts["spans"] + recorder.counts["runs"] != recorder.counts["ended"]:
        complaints.said.append(f"not every span ended: {dict(recorder.counts)}")
    item.config.stash.setdefault(RECORDED, Counter()).update(recorder.counts)
    item.config.stash.setdefault(COMPLAINTS, []).extend(f"{item.nodeid}: {text}" for text in complaints.said)
    return result
