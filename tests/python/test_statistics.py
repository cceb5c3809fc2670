"""What was recorded, delivered and dropped is counted, and what was lost is told once, at the end."""

from __future__ import annotations

import threading
from typing import Any

from callboard import CostTrackerProvider, EventKind, InstrumentationManager, SpanKind, telemetry_context
from harness import Recorder, recorded, run_program, wait_until


def by_name(manager: InstrumentationManager) -> dict[str, dict[str, Any]]:
    return {counted.pop("name"): counted for counted in manager.statistics()["providers"]}


def test_every_record_is_counted() -> None:
    manager, recorder = recorded()
    manager.register_provider(CostTrackerProvider())
    with telemetry_context(manager) as telemetry:
        span = telemetry.start_span(SpanKind.CHAT)
        span.set_attribute("a", 1)
        span.set_attribute("b", 2)
        telemetry.record_event("event")
        telemetry.end_span()
    # A start and an end of each span, an event, and what was set in between as one.
    assert manager.statistics() == {
        "recorded": 6,
        "dropped": 0,
        "bodies_dropped": 0,
        "providers": [
            {"name": "Recorder", "delivered": 6, "dropped": 0, "failures": 0},
            {"name": "CostTrackerProvider", "delivered": 6, "dropped": 0, "failures": 0},
        ],
    }
    assert len(recorder.calls) == 7


def test_a_provider_that_comes_late_and_goes_early_has_its_share() -> None:
    manager, _ = recorded()
    late = Recorder()
    with telemetry_context(manager):
        manager.record_event("before")
        manager.register_provider(late)
        manager.record_event("during")
        assert manager.deregister_provider(late)
        manager.record_event("after")
    assert [call.given["kind"] for call in late.named("record_event")] == ["during"]
    assert list(by_name(manager)) == ["Recorder"]


def test_under_pressure_bodies_go_before_structure_and_all_is_counted() -> None:
    held = threading.Event()

    class Stuck(Recorder):
        def start_trace(self, name: str, core_span_id: str, attributes: Any = None) -> None:
            super().start_trace(name, core_span_id, attributes)
            held.wait()

    manager, stuck, costs = InstrumentationManager(queue_bytes=1 << 20), Stuck(), CostTrackerProvider()
    manager.register_provider(stuck)
    manager.register_provider(costs)
    with telemetry_context(manager):
        wait_until(lambda: stuck.calls, "the provider is stuck")
        try:
            for count in range(1, 501):
                # So few at a time that they fit beside what the stuck one may hold, half of the bound, even when the
                # ones before are yet to be let go of.
                for _ in range(10):
                    manager.record_event("body", {"text": "x" * 10_000})
                    manager.record_event(EventKind.COST, {"ag2.cost": 0.5})
                # What the stuck one cannot take is its own loss: the other gets every cost.
                assert costs.total_cost == 5 * count
        finally:
            held.set()
    assert manager.flush()
    counted = manager.statistics()
    assert counted["bodies_dropped"] > 0
    assert counted["recorded"] == 10_000 + 2
    mine = by_name(manager)["Stuck"]
    assert counted["dropped"] == 0
    assert mine["delivered"] + mine["dropped"] == counted["recorded"]
    assert mine["dropped"] > 0
    texts = [event["text"] for event in stuck.events("body")]
    assert {len(text) for text in texts} <= {10_000, len("[dropped: callboard's queue was full]")}


def test_failures_are_counted_and_told_once(caplog: Any) -> None:
    class Failing(Recorder):
        def record_event(self, *given: Any) -> None:
            raise ValueError("every time")

    manager = InstrumentationManager()
    manager.register_provider(Failing())
    with telemetry_context(manager):
        for _ in range(5):
            manager.record_event("event")
            assert manager.flush()
    assert by_name(manager)["Failing"]["failures"] == 5
    told = [record for record in caplog.records if record.name == "callboard"]
    assert [record.levelname for record in told] == ["WARNING"]
    assert "Failing failed: record_event raised ValueError: every time" in told[0].getMessage()


def test_losses_are_told_once_at_the_end_and_silence_means_none() -> None:
    quiet = run_program("""
        manager, recorder = recorded()
        with telemetry_context(manager):
            manager.record_event("event")
        """)
    assert quiet.errors == ""
    lossy = run_program("""
        class Failing(Recorder):
            def record_event(self, *given):
                raise ValueError
        manager = InstrumentationManager(queue_bytes=20_000)
        manager.register_provider(Failing())
        with telemetry_context(manager):
            for _ in range(3):
                manager.record_event("event")
                manager.flush()
            for _ in range(100):
                manager.record_event("event", {f"key {n}": n for n in range(1000)})
        """)
    assert lossy.errors.count("records were dropped, and") == 1
    assert lossy.errors.count("Failing: 0 records were dropped, ") == 1
    assert lossy.errors.count("told once, then only counted") == 1
    assert len(lossy.errors.splitlines()) == 3


def test_the_programs_own_configuration_of_logging_holds() -> None:
    told = run_program("""
        class Failing(Recorder):
            def start_trace(self, **given):
                raise ValueError("a fault")
        class Keeping(logging.Handler):
            def emit(self, record):
                tell([record.name, record.levelname, record.getMessage()])
        logging.getLogger("callboard").addHandler(Keeping())
        logging.getLogger("callboard").propagate = False
        manager = InstrumentationManager()
        manager.register_provider(Failing())
        with telemetry_context(manager):
            pass
        logging.getLogger("callboard").setLevel(logging.ERROR)
        other = InstrumentationManager()
        other.register_provider(Failing())
        with telemetry_context(other):
            pass
        """)
    [(name, level, message)] = told.lines()
    assert (name, level) == ("callboard", "WARNING")
    assert "Failing failed: start_trace raised ValueError: a fault" in message
    assert told.errors == ""
