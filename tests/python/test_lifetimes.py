"""What callboard holds of a program's, it lets go of; and what it is asked for, however odd, it bears."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import callboard
import pytest
from callboard import CostTrackerProvider, InstrumentationManager, SpanKind, TelemetryProvider, telemetry_context
from harness import Recorder, recorded, run_program, wait_until


def is_gone(reference: weakref.ref[Any]) -> Callable[[], bool]:
    def check() -> bool:
        gc.collect()
        # What a thread of callboard's lets go of is taken back with the next call of callboard.
        callboard.current_span()
        return reference() is None

    return check


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells of threads so simply")
def test_a_manager_that_is_let_go_of_takes_its_threads_along() -> None:
    """In a process of its own, where nothing that another test left behind ends meanwhile."""
    run_program("""
        import gc
        from pathlib import Path
        def thread_names():  # Those of callboard's own are known to no Python.
            return sorted(name for task in Path("/proc/self/task").iterdir() if (name := name_of(task)))
        def name_of(task):
            try:
                return (task / "comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                return None  # It has ended since it was listed.
        before = thread_names()
        for _ in range(20):
            manager, recorder = recorded()
            manager.register_provider(CostTrackerProvider())
            with telemetry_context(manager):
                manager.start_span(SpanKind.CHAT)
            assert any(name.startswith("callboard") for name in thread_names())
            del manager, recorder
        gc.collect()
        wait_until(lambda: thread_names() == before, "the threads have ended")
        """)


def test_managers_and_providers_are_let_go_of() -> None:
    manager, recorder = recorded()
    costs = CostTrackerProvider()
    manager.register_provider(costs)
    with telemetry_context(manager):
        manager.start_span(SpanKind.CHAT)
        manager.record_event("told", {"k": recorder})
    references = [weakref.ref(thing) for thing in (manager, recorder, costs)]
    del manager, recorder, costs
    for reference in references:
        wait_until(is_gone(reference), "it is let go of")


def test_a_provider_that_is_deregistered_is_let_go_of() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        assert manager.deregister_provider(recorder)
        reference = weakref.ref(recorder)
        del recorder
        wait_until(is_gone(reference), "it is let go of")


def test_attributes_are_not_kept() -> None:
    class Value:
        def __str__(self) -> str:
            return "value"

    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        value = Value()
        reference = weakref.ref(value)
        span = telemetry.start_span(SpanKind.CHAT, None, {"k": value, "list": [value]})
        telemetry.set_attribute(span, "set", {"k": value})
        telemetry.record_event("told", {"k": value})
        del value
        gc.collect()
        assert reference() is None
    assert recorder.events("told") == [{"k": "value"}]


def test_results_stay_readable_when_the_manager_is_gone() -> None:
    costs = CostTrackerProvider()
    manager = InstrumentationManager()
    manager.register_provider(costs)
    with telemetry_context(manager):
        manager.record_event("cost", {"ag2.cost": 1.0})
    del manager
    gc.collect()
    assert costs.total_cost == 1.0
    assert len(costs.cost_history) == 1


def test_one_provider_of_two_managers() -> None:
    recorder, costs = Recorder(), CostTrackerProvider()
    managers = [InstrumentationManager(), InstrumentationManager()]
    for manager in managers:
        manager.register_provider(recorder)
        manager.register_provider(costs)
    for manager in managers:
        with telemetry_context(manager):
            manager.record_event("cost", {"ag2.cost": 1.0})
    assert costs.total_cost == 2.0
    assert recorder.ended() == ["workflow", "workflow"]
    assert managers[0].deregister_provider(recorder)
    with telemetry_context(managers[1]):
        pass
    assert len(recorder.ended()) == 3


def test_a_provider_that_needs_no_base_class() -> None:
    """As long as it has the methods; those of a class that only looks like one are named."""

    class Bare:
        def __init__(self) -> None:
            self.calls: list[str] = []

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or name in ("flush", "shutdown"):
                raise AttributeError(name)
            return lambda *args, **named: self.calls.append(name)

    manager, bare = InstrumentationManager(), Bare()
    manager.register_provider(bare)
    with telemetry_context(manager):
        pass
    assert bare.calls == ["start_trace", "end_span"]
    assert not isinstance(bare, TelemetryProvider)


def test_a_provider_whose_attributes_raise_is_refused() -> None:
    class Broken:
        @property
        def start_trace(self) -> Any:
            raise RuntimeError

    with pytest.raises(TypeError, match="lacks start_trace"):
        InstrumentationManager().register_provider(Broken())


def test_a_provider_that_uses_callboard_itself() -> None:
    """It may read, record elsewhere and even wait: it never waits for itself."""
    inner, seen = recorded()

    class Curious(Recorder):
        def end_span(self, context: Any) -> None:
            super().end_span(context)
            said.append((manager.flush(), costs.total_cost, manager.statistics()["dropped"]))
            with telemetry_context(inner):
                inner.record_event("heard")

    said: list[Any] = []
    manager, costs = InstrumentationManager(), CostTrackerProvider()
    manager.register_provider(costs)
    manager.register_provider(Curious())
    with telemetry_context(manager):
        manager.record_event("cost", {"ag2.cost": 1.0})
    assert said == [(True, 1.0, 0)]
    assert inner.flush()
    assert len(seen.events("heard")) == 1


def test_a_provider_that_waits_for_the_thread_that_records() -> None:
    """The end of a chat waits for providers for a short while only, so neither waits for the other for ever."""

    class Polite(Recorder):
        def end_span(self, context: Any) -> None:
            with lock:
                super().end_span(context)

    lock = threading.Lock()
    manager, polite = InstrumentationManager(), Polite()
    manager.register_provider(polite)
    with telemetry_context(manager):
        with lock:
            for _ in range(20):
                manager.start_span(SpanKind.CHAT).end()
        assert manager.flush()
    assert len(polite.ended()) == 21


def test_a_provider_that_hangs_holds_up_the_end_of_one_context_only() -> None:
    told = run_program("""
        import asyncio, time, callboard.context
        callboard.context.EXIT_FLUSH_SECONDS, _load.EXIT_SECONDS = 3.0, 0.1
        class Stuck(Recorder):
            def start_trace(self, **given):
                released.wait()
        released = threading.Event()
        manager, stuck = InstrumentationManager(), Stuck()
        manager.register_provider(stuck)
        begun = time.monotonic()
        async def enter():
            async with telemetry_context(manager):
                pass
        for _ in range(15):
            with telemetry_context(manager):
                pass
            asyncio.run(enter())
        # Each in vain would be 90 seconds.
        assert time.monotonic() - begun < 30
        released.set()
        with telemetry_context(manager):
            manager.start_span(SpanKind.CHAT)
        assert manager.flush()
        with telemetry_context(manager):
            pass
        tell(len(stuck.ended()))
        """)
    assert told.lines() == [33]


@pytest.mark.parametrize("seconds", [0, -1, 0.5, float("inf"), float("-inf"), float("nan"), 1e19, 1e300])
def test_any_time_may_be_waited(seconds: float) -> None:
    manager, _ = recorded()
    for wait in (manager.flush, manager.shutdown):
        assert wait(seconds) in (True, False)


def test_names_without_end_are_cut() -> None:
    manager, recorder = recorded()
    endless = "x" * 50_000_000
    with telemetry_context(manager, endless):
        manager.start_span(endless)
        manager.record_event(endless)
    assert len(recorder.named("start_trace")[0].given["name"]) < 9_000_000
    assert recorder.named("start_span")[0].given["kind"] == "x" * 1024
    assert recorder.named("record_event")[0].given["kind"] == "x" * 1024


def test_any_name_will_do_for_a_run() -> None:
    manager, recorder = recorded()
    for name in (None, "", 3, b"bytes", "\ud800", object):
        with telemetry_context(manager, name):
            pass
    names = [call.given["name"] for call in recorder.named("start_trace")]
    assert names == ["AG2 Workflow", "", "3", "b'bytes'", "���", "<class 'object'>"]


def test_recording_in_a_callback_of_the_garbage_collector() -> None:
    told = run_program("""
        import gc
        manager, recorder = recorded()
        def collecting(phase, info):
            manager.record_event(phase, info)
        with telemetry_context(manager):
            gc.callbacks.append(collecting)
            for _ in range(50):
                gc.collect(0)
                manager.start_span("span", None, {"list": [{}]}).end()
            gc.callbacks.remove(collecting)
        tell(len(recorder.events("start")) >= 50, len(recorder.events("stop")) >= 50)
        """)
    assert told.lines() == [[True, True]]


def test_recording_in_a_trace_function() -> None:
    told = run_program("""
        manager, recorder = recorded()
        def tracing(frame, event, argument):
            manager.record_event(event, {"line": frame.f_lineno})
            return tracing
        def traced():
            span = manager.start_span("span", None, {"k": object()})
            span.end()
        with telemetry_context(manager):
            sys.settrace(tracing)
            traced()
            sys.settrace(None)
        tell(len(recorder.events("call")) >= 1, len(recorder.events("line")) >= 2, recorder.ended())
        """)
    assert told.lines() == [[True, True, ["span", "workflow"]]]


def test_recording_in_a_signal_handler() -> None:
    told = run_program("""
        import signal
        manager, recorder = recorded()
        signal.signal(signal.SIGALRM, lambda *_: manager.record_event("alarm", {"k": [{"n": object()}]}))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        with telemetry_context(manager):
            while manager.statistics()["recorded"] < 20_000:
                with manager.start_span("span", None, {"list": [{"m": object()}]}):
                    manager.record_event("event", {"k": object()})
            signal.setitimer(signal.ITIMER_REAL, 0)
        tell(manager.statistics()["providers"][0]["failures"])
        """)
    assert told.lines() == [0]
