"""A program's exceptions pass through unchanged; the spans that they pass say so."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from callboard import SpanKind, current_span, telemetry_context
from harness import Recorder, recorded, run_program


def failed(recorder: Recorder) -> dict[str, list[str]]:
    """For each kind of span, what its exceptions say."""
    found: dict[str, list[str]] = {}
    for call in recorder.named("record_event"):
        if call.given["kind"] == "exception":
            told = call.given["attributes"]
            kind = getattr(call.context.kind, "value", call.context.kind)
            found.setdefault(kind, []).append(f"{told['exception.type']}: {told['exception.message']}")
    return found


class Odd(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("why"), "ValueError: why"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (asyncio.CancelledError("gone"), "asyncio.exceptions.CancelledError: gone"),
        (SystemExit("no model"), "SystemExit: no model"),
        (SystemExit(2), "SystemExit: 2"),
        (Odd(), "test_exceptions.Odd: <Odd: str() raised RuntimeError>"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), None),
    ],
)
def test_it_is_the_same_object_with_the_same_traceback(error: BaseException, told: str | None) -> None:
    manager, recorder = recorded()

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught, telemetry_context(manager), manager.start_span(SpanKind.CHAT):
        fail()
    assert caught.value is error
    assert error.__context__ is None
    assert error.__cause__ is None
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names == ["test_it_is_the_same_object_with_the_same_traceback", "fail"]
    expected = told or f"UnicodeDecodeError: {error}"
    assert failed(recorder) == {"chat": [expected], "workflow": [expected]}
    [stack, _] = [event["exception.stacktrace"] for event in recorder.events("exception")]
    assert stack.startswith("Traceback (most recent call last):")
    assert "in fail" in stack
    assert recorder.ended() == ["chat", "workflow"]


@pytest.mark.parametrize("error", [SystemExit(), SystemExit(0), SystemExit(None), GeneratorExit()])
def test_a_way_out_is_no_failure(error: BaseException) -> None:
    manager, recorder = recorded()
    with pytest.raises(type(error)) as caught, telemetry_context(manager), manager.start_span(SpanKind.CHAT):
        raise error
    assert caught.value is error
    assert failed(recorder) == {}
    assert recorder.ended() == ["chat", "workflow"]


def test_one_that_the_program_handles_within_is_none_of_the_contexts() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        with pytest.raises(KeyError), manager.start_span(SpanKind.CHAT):
            raise KeyError("handled")
        manager.start_span(SpanKind.SUMMARY).end()
    assert failed(recorder) == {"chat": ["KeyError: 'handled'"]}


def test_one_that_passes_through_an_asynchronous_context() -> None:
    async def main() -> None:
        manager, recorder = recorded()
        error = ValueError("why")
        with pytest.raises(ValueError, match="why") as caught:
            async with telemetry_context(manager):
                raise error
        assert caught.value is error
        assert failed(recorder) == {"workflow": ["ValueError: why"]}

    asyncio.run(main())


def test_a_task_that_is_cancelled_is_cancelled() -> None:
    async def main() -> None:
        manager, recorder = recorded()
        begun = asyncio.Event()

        async def work() -> None:
            async with telemetry_context(manager):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert manager.flush()
        assert recorder.ended() == ["workflow"]
        assert failed(recorder) == {"workflow": ["asyncio.exceptions.CancelledError: "]}

    asyncio.run(main())


def test_a_generator_that_is_closed_within_its_context() -> None:
    manager, recorder = recorded()

    def rounds() -> Iterator[int]:
        with telemetry_context(manager):
            yield from range(3)

    running = rounds()
    assert next(running) == 0
    running.close()
    assert recorder.ended() == ["workflow"]
    assert failed(recorder) == {}
    assert current_span() is None


def test_a_generator_that_nobody_goes_on_with() -> None:
    manager, recorder = recorded()

    def rounds() -> Iterator[int]:
        with telemetry_context(manager):
            yield 0

    running = rounds()
    next(running)
    del running
    assert recorder.ended() == ["workflow"]


def test_groups_of_exceptions_and_causes_are_in_the_stack() -> None:
    manager, recorder = recorded()
    with pytest.raises(ValueError, match="outer"), telemetry_context(manager):
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    [told] = recorder.events("exception")
    assert "KeyError: 'inner'" in told["exception.stacktrace"]
    assert "direct cause" in told["exception.stacktrace"]


def test_an_exception_too_long_is_cut() -> None:
    manager, recorder = recorded()
    with pytest.raises(ValueError, match="xxx"), telemetry_context(manager):
        raise ValueError("x" * 20_000_000)
    [told] = recorder.events("exception")
    assert all(len(text) < 9_000_000 for text in told.values())
    assert told["exception.message"].endswith("bytes cut]")


def test_what_is_no_exception_is_an_error_all_the_same() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        for odd in ("text", 3, object(), ValueError):
            span = current_span().start_child("call")
            span.record_exception(odd)
            span.end(odd)
        span = current_span().start_child("call")
        span.set_error(Odd())
        span.end()
    assert recorder.ended() == ["call"] * 5 + ["workflow"]


def test_a_stack_that_has_run_out() -> None:
    manager, recorder = recorded()

    def descend() -> None:
        with manager.start_span("level"):
            descend()

    with pytest.raises(RecursionError), telemetry_context(manager):
        descend()
    assert current_span() is None
    assert set(failed(recorder)) == {"level", "workflow"}
    assert recorder.ended()[-1] == "workflow"
    stacks = [event["exception.stacktrace"] for event in recorder.events("exception")]
    assert "left out" not in stacks[0]
    assert "outer frames are left out]" in stacks[-1]
    assert max(map(len, stacks)) < 50_000


def test_another_kind_of_event_loop() -> None:
    """Leaving waits for providers beside other tasks where it can; where it cannot it does not raise."""
    told = run_program("""
        import asyncio
        class Slow(Recorder):
            def end_span(self, context):
                released.wait()
        released = threading.Event()
        manager, slow = InstrumentationManager(), Slow()
        manager.register_provider(slow)
        threading.Timer(0.05, released.set).start()

        async def work():
            async with telemetry_context(manager):
                pass

        # A loop of another library's: it drives the coroutine by hand.
        running = work()
        try:
            while True:
                running.send(None)
        except StopIteration:
            tell("left")

        async def beside():
            ticks = 0
            released.clear()
            asyncio.get_running_loop().call_later(0.1, released.set)
            leaving = asyncio.create_task(work())
            while not leaving.done():
                ticks += 1
                await asyncio.sleep(0.001)
            tell(ticks > 5)

        asyncio.run(beside())

        async def no_executor():
            released.clear()
            loop = asyncio.get_running_loop()
            await loop.shutdown_default_executor()
            threading.Timer(0.05, released.set).start()
            await work()
            tell("left")

        asyncio.run(no_executor())
        """)
    assert told.lines() == ["left", True, "left"]


def test_an_interrupt_while_a_provider_is_waited_for() -> None:
    """Ctrl-C reaches the program, at the latest when the wait is over."""
    told = run_program("""
        import callboard.context, signal
        callboard.context.EXIT_FLUSH_SECONDS = _load.EXIT_SECONDS = 0.2
        class Stuck(Recorder):
            def end_span(self, context):
                signal.raise_signal(signal.SIGINT)
                threading.Event().wait()
        manager = InstrumentationManager()
        manager.register_provider(Stuck())
        try:
            with telemetry_context(manager):
                pass
            for _ in range(10_000_000):
                pass
        except KeyboardInterrupt:
            tell("interrupted")
        """)
    assert told.lines() == ["interrupted"]


def test_names_of_what_an_exception_could_hide_are_not_shadowed() -> None:
    manager, _ = recorded()
    seen: list[Any] = []
    try:
        with telemetry_context(manager):
            raise LookupError
    except LookupError as error:
        seen.append(error)
    assert seen[0].__suppress_context__ is False
    assert not hasattr(seen[0], "__notes__")
