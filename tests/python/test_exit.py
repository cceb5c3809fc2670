"""However a program ends, what it recorded arrives, in bounded time, and nothing of it is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import PATIENCE_SECONDS, read_diary, run_program


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


OPEN_RUN = """
manager = InstrumentationManager()
manager.register_provider(Diary(sys.argv[1]))
telemetry_context(manager, "left open").__enter__()
manager.start_span(SpanKind.CHAT)
manager.record_event("told", {"k": 1})
"""


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise SystemExit('out')", 1),
        ("import atexit; atexit.register(lambda: manager.record_event('at exit'))", 0),
        ("def f(): raise KeyboardInterrupt\nf()", 130),
        ("del manager", 0),
        ("threading.Thread(target=lambda: manager.record_event('elsewhere')).start()", 0),
        ("import logging; logging.shutdown()", 0),
    ],
)
def test_a_program_that_ends_without_leaving_its_context(diary: Path, ending: str, status: int) -> None:
    outcome = run_program(OPEN_RUN + ending, str(diary), expected=None)
    # The shell's word for an interrupt is Python's -2 where the signal ended it.
    assert outcome.returncode in (status, -2 if status == 130 else status), outcome.errors
    assert [line["kind"] for line in read_diary(diary, "end_span")] == ["chat", "workflow"]
    assert {"k": 1} in [line["attributes"] for line in read_diary(diary, "record_event")]
    marks = read_diary(diary, "set_span_attribute")
    assert [(mark["key"], mark["value"]) for mark in marks] == [("callboard.span.ended_by", "run_end")]
    if "at exit" in ending:
        assert [line["kind"] for line in read_diary(diary, "record_event")] == ["told", "at exit"]


def test_an_exception_that_ends_the_program_ends_it_as_ever(diary: Path) -> None:
    program = """
        manager = InstrumentationManager()
        manager.register_provider(Diary(sys.argv[1]))
        with telemetry_context(manager):
            with manager.start_span(SpanKind.CHAT):
                raise ValueError("the program's own")
        """
    outcome = run_program(program, str(diary), expected=1)
    assert outcome.errors.rstrip().endswith("ValueError: the program's own")
    assert outcome.errors.count("Traceback") == 1
    told = read_diary(diary, "record_event")
    assert [line["attributes"]["exception.message"] for line in told] == ["the program's own"] * 2
    assert [line["kind"] for line in read_diary(diary, "end_span")] == ["chat", "workflow"]


def test_a_provider_may_flush_and_shut_down_at_the_end(diary: Path) -> None:
    run_program(
        """
        class Buffering(Diary):
            def flush(self):
                self.write("flush")
            def shutdown(self):
                self.write("shutdown")
        manager = InstrumentationManager()
        manager.register_provider(Buffering(sys.argv[1]))
        with telemetry_context(manager):
            pass
        manager.start_trace("again")
        """,
        str(diary),
    )
    calls = [line["call"] for line in read_diary(diary)]
    assert calls == ["start_trace", "end_span", "flush", "start_trace", "end_span", "shutdown"]


def test_a_provider_that_never_comes_back_does_not_hold_the_exit() -> None:
    """Nor does the interpreter's end, which catches the provider's thread in its sleep, abort the process."""
    outcome = run_program("""
        import time, callboard.context
        callboard.context.EXIT_FLUSH_SECONDS = _load.EXIT_SECONDS = 0.3
        class Sleeping(Recorder):
            def start_trace(self, **given):
                while True:
                    time.sleep(0.001)
        manager, recorder = recorded()
        manager.register_provider(Sleeping())
        begun = time.monotonic()
        with telemetry_context(manager):
            with manager.start_span(SpanKind.CHAT):
                pass
        tell(recorder.ended(), time.monotonic() - begun)
        """)
    [(ended, seconds)] = outcome.lines()
    assert ended == ["chat", "workflow"], "another provider was held up"
    assert seconds < PATIENCE_SECONDS
    assert outcome.errors.count("the program ended before every provider had finished") == 1


def test_a_provider_that_hangs_is_waited_for_once(diary: Path) -> None:
    """As the context is left, and not again as the interpreter ends. Another provider gets everything."""
    seconds = read_seconds(
        """
        with telemetry_context(manager):
            manager.record_event("told")
        with telemetry_context(manager):
            pass
        """,
        diary,
    )
    assert seconds < 1.9 * WAIT_SECONDS


def test_a_provider_that_hangs_is_waited_for_once_where_no_context_is_left(diary: Path) -> None:
    seconds = read_seconds(
        """
        manager.start_trace("left open")
        """,
        diary,
    )
    assert seconds < 1.9 * WAIT_SECONDS


WAIT_SECONDS = 3.0


def read_seconds(program: str, diary: Path) -> float:
    """How long a program takes to end with a provider that hangs; a diary beside it has everything."""
    outcome = run_program(
        f"""
        import atexit, time, callboard.context
        callboard.context.EXIT_FLUSH_SECONDS = _load.EXIT_SECONDS = {WAIT_SECONDS}
        atexit.register(lambda: tell(time.monotonic() - begun))
        class Stuck(Recorder):
            def start_trace(self, **given):
                while True:
                    time.sleep(0.005)
        manager = InstrumentationManager()
        manager.register_provider(Stuck())
        manager.register_provider(Diary(sys.argv[1]))
        begun = time.monotonic()
        """
        + program,
        str(diary),
    )
    assert {line["kind"] for line in read_diary(diary, "end_span")} == {"workflow"}
    assert outcome.errors.count("the program ended before every provider had finished") == 1
    [seconds] = outcome.lines()
    return float(seconds)


def test_a_provider_that_computes_for_ever_does_not_hold_the_exit() -> None:
    run_program("""
        import callboard.context
        callboard.context.EXIT_FLUSH_SECONDS = _load.EXIT_SECONDS = 0.3
        class Computing(Recorder):
            def start_trace(self, **given):
                while True:
                    [str(number) for number in range(100)]
        manager = InstrumentationManager()
        manager.register_provider(Computing())
        with telemetry_context(manager):
            pass
        """)


def test_a_slow_provider_is_still_being_told_as_the_interpreter_ends() -> None:
    run_program("""
        import callboard.context
        callboard.context.EXIT_FLUSH_SECONDS = _load.EXIT_SECONDS = 0.05
        manager, recorder = recorded()
        with telemetry_context(manager):
            for number in range(20_000):
                manager.start_span("custom kind", None, {"nested": [{"number": number}] * 10})
                manager.record_event("custom event")
                manager.end_span()
        """)


@pytest.mark.parametrize("attempt", range(3))
def test_daemon_threads_that_record_to_the_very_end(attempt: int) -> None:
    run_program("""
        manager, recorder = recorded()
        class Text:
            def __str__(self):
                return "rendered"
        def work():
            while True:
                with telemetry_context(manager):
                    for _ in range(20):
                        manager.start_span(SpanKind.CHAT, None, {"k": Text(), "n": [1, {"m": None}]})
                        manager.record_event("told")
                        manager.end_span()
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        wait_until(lambda: len(recorder.calls) > 100, "the threads record")
        """)


def test_daemon_threads_that_wait_for_providers_to_the_very_end() -> None:
    run_program("""
        manager, recorder = recorded()
        costs = CostTrackerProvider()
        manager.register_provider(costs)
        manager.start_trace("run")
        flushed = []
        def work():
            while True:
                manager.record_event(EventKind.COST, {"ag2.cost": 1})
                flushed.append(manager.flush())
                costs.total_cost
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        wait_until(lambda: len(flushed) > 100, "the threads flush")
        """)


def test_spans_that_live_as_long_as_the_modules() -> None:
    outcome = run_program("""
        import builtins
        manager, recorder = recorded()
        class Holder:
            def __init__(self):
                self.span = manager.start_trace("run")
                self.manager = manager
            def __del__(self):
                self.span.set_attribute("late", [1, {}])
                self.span.record_event("late", {"k": object()})
                self.manager.record_event("late")
                self.span.end()
        builtins.held = Holder()
        held.around = held
        """)
    assert outcome.errors == ""


def test_the_programs_own_hooks_are_left_alone() -> None:
    told = run_program("""
        import gc, signal
        def hooks():
            handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
            return [
                handlers, sys.gettrace(), sys.getprofile(), sys.excepthook, threading.excepthook,
                sys.unraisablehook, sys.displayhook, sys.stdout, sys.stderr, sys.meta_path[:],
                gc.callbacks[:], sys.getswitchinterval(), sys.getrecursionlimit(),
                logging.root.handlers[:], logging.root.level,
            ]
        before = hooks()
        signal.signal(signal.SIGUSR1, print)
        trace = lambda *_: trace
        sys.settrace(trace); sys.setprofile(trace); threading.settrace(trace)
        manager, recorder = recorded()
        with telemetry_context(manager):
            with manager.start_span(SpanKind.CHAT):
                manager.record_event("told")
        tell([sys.gettrace() is trace, sys.getprofile() is trace, signal.getsignal(signal.SIGUSR1) is print,
              recorder.ended()])
        sys.settrace(None); sys.setprofile(None); threading.settrace(None)
        signal.signal(signal.SIGUSR1, before[0][signal.SIGUSR1])
        tell(hooks() == before)
        """).lines()
    assert told == [[True, True, True, ["chat", "workflow"]], True]


def test_a_context_left_after_the_shutdown_does_nothing() -> None:
    outcome = run_program("""
        manager, recorder = recorded()
        context = telemetry_context(manager)
        context.__enter__()
        assert manager.shutdown()
        manager.record_event("too late")
        manager.start_span("too late").end()
        context.__exit__(None, None, None)
        tell([recorder.ended(), manager.statistics()["dropped"]])
        """)
    assert outcome.lines() == [[[], 4]]
    assert "4 of 5 records were dropped" in outcome.errors


def test_what_was_lost_is_told_before_the_programs_log_is_closed(diary: Path) -> None:
    run_program(
        """
        logging.basicConfig(filename=sys.argv[1], filemode="w")
        manager, recorder = recorded()
        root = manager.start_trace("run")
        manager.shutdown()
        root.record_event("too late")
        """,
        str(diary),
        prelude="from callboard import *\nimport logging, sys\nfrom harness import recorded\n",
    )
    assert "WARNING:callboard:" in diary.read_text()
