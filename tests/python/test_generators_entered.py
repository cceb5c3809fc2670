"""Generators that are context managers, the way back into a run, and what is warned of."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from callboard import InstrumentationManager, _generators, current_span, telemetry_context
from generator_runs import children, in_copies, nothing_stays, record, session
from harness import recorded, run_program
from opentelemetry import trace

__all__ = ["nothing_stays"]  # a fixture


# ---- generators that are context managers


@contextlib.contextmanager
def managed(manager: InstrumentationManager) -> Iterator[InstrumentationManager]:
    with telemetry_context(manager) as telemetry:
        yield telemetry


@contextlib.asynccontextmanager
async def async_managed(manager: InstrumentationManager) -> AsyncIterator[InstrumentationManager]:
    async with telemetry_context(manager) as telemetry:
        yield telemetry


class Entered:
    """A context manager of the program's own."""

    def __init__(self, manager: InstrumentationManager) -> None:
        self.context = telemetry_context(manager)

    def __enter__(self) -> InstrumentationManager:
        return self.context.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.context.__exit__(*error)


@contextlib.contextmanager
def stacked(manager: InstrumentationManager) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(Entered(manager))
        stack.enter_context(managed(InstrumentationManager()))
        yield


@pytest.mark.parametrize("enter", [managed, Entered, stacked])
def test_a_context_manager_has_its_run_where_it_is_entered(enter: Any) -> None:
    manager, recorder = recorded()
    with enter(manager):
        assert _generators._by_run == {}
        record(manager, "within")
    assert recorder.parents() == {"workflow": None, "within": "workflow"}


@pytest.mark.parametrize("enter", [managed, Entered, stacked])
def test_a_generator_may_enter_one(enter: Any) -> None:
    manager, recorder = recorded()

    def steps() -> Iterator[int]:
        with enter(manager):
            yield 1
            record(manager, "within")
            yield 2

    assert in_copies(steps()) == [1, 2]
    assert recorder.parents() == {"workflow": None, "within": "workflow"}
    for _ in steps():
        record(manager, "between")
    assert [call.context.kind for call in recorder.named("end_span")] == ["within", "workflow"] * 2


def test_async_context_managers() -> None:
    manager, recorder = recorded()

    async def main() -> None:
        async with async_managed(manager):
            record(manager, "within")
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(async_managed(manager))
            record(manager, "stacked")

    asyncio.run(main())
    assert [call.context.kind for call in recorder.named("end_span")] == ["within", "workflow", "stacked", "workflow"]


@pytest.fixture
def run() -> Iterator[Any]:
    manager, recorder = recorded()
    with telemetry_context(manager):
        yield manager, recorder


def test_a_fixture_has_its_run_in_the_test(run: Any) -> None:
    manager, recorder = run
    record(manager, "in the test")
    assert manager.flush()
    assert recorder.parents() == {"workflow": None, "in the test": "workflow"}
    current_span().end()  # The fixture at the top of this page looks before it is left.


# ---- the remedy, and the warnings


def test_a_step_makes_a_run_current_anywhere() -> None:
    manager, recorder = recorded()
    context = telemetry_context(manager)

    def steps() -> Iterator[int]:
        with context:
            yield 1
            yield 2

    generator = steps()
    with context.step():
        record(manager, "before the run")
    next(generator)
    with context.step():
        record(manager, "between")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.Context().run, in_step, context, manager, "on a thread").result()
    with context.step():
        next(generator)
        record(manager, "still")
    record(manager, "not in a step")
    assert list(generator) == []
    with context.step():
        record(manager, "after the run")
    assert recorder.parents() == {
        "workflow": None,
        "between": "workflow",
        "on a thread": "workflow",
        "still": "workflow",
    }


def in_step(context: Any, manager: InstrumentationManager, name: str) -> None:
    with context.step():
        record(manager, name)


def test_a_step_in_a_generator_is_of_its_steps_alone() -> None:
    """As a streamed answer has it, with the run of a dependency."""
    (one, of_one), (two, of_two) = recorded(), recorded()
    runs = [telemetry_context(one), telemetry_context(two)]

    def steps(run: Any, manager: InstrumentationManager, name: str) -> Iterator[int]:
        with run.step():
            for number in range(2):
                record(manager, f"{name} {number}")
                yield number

    with ThreadPoolExecutor(1) as pool:
        for run in runs:
            pool.submit(contextvars.Context().run, run.__enter__).result()
    first, second = steps(runs[0], one, "one"), steps(runs[1], two, "two")
    for _ in range(2):
        next(first)
        assert current_span() is None
        next(second)
        assert current_span() is None
    assert [*first, *second] == []
    assert not trace.get_current_span().get_span_context().is_valid
    assert in_copies(steps(runs[0], one, "again")) == [0, 1]
    for run in runs:
        run.__exit__(None, None, None)
    assert of_one.parents() == {**children("one", 2), "again 0": "workflow", "again 1": "workflow"}
    assert of_two.parents() == children("two", 2)


def test_a_step_within_the_step_of_a_generator() -> None:
    (one, of_one), (two, of_two) = recorded(), recorded()
    run = telemetry_context(two)

    def steps() -> Iterator[int]:
        with telemetry_context(one):
            yield 1
            with run.step():
                record(two, "of the other")
            record(one, "of its own")
            yield 2

    with run:
        assert in_copies(steps()) == [1, 2]
    assert of_one.parents() == {"workflow": None, "of its own": "workflow"}
    assert of_two.parents() == {"workflow": None, "of the other": "workflow"}


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_not_recorded_is_warned_of_once(strict: bool, caplog: Any) -> None:
    _generators._warned.clear()
    manager, recorder = recorded()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("error" if strict else "always")
        for _ in range(2):
            generator = session(manager, "session", 1)
            next(generator)
            current_span()
            record(manager, "between")
            record(manager, "between")
            list(generator)
    assert [str(each.message) for each in warned] == [] if strict else [_generators.SUSPENDED]
    assert [each.filename for each in warned] == [record.__code__.co_filename] * (not strict)
    assert caplog.messages == [_generators.SUSPENDED]
    assert set(recorder.ended()) == {"session 0", "workflow"}


def test_a_run_that_is_current_nowhere_is_warned_of_once(caplog: Any) -> None:
    _generators._warned.clear()
    manager, _ = recorded()
    for remedy in (True, False, False):
        context = telemetry_context(manager)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.Context().run, context.__enter__).result()
        if remedy:
            with context.step():
                record(manager, "in a step")
        assert caplog.messages == []
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            context.__exit__(None, None, None)
        if not remedy:
            break
    assert caplog.messages == [_generators.ELSEWHERE]


def test_sessions_side_by_side_are_not_warned_of(caplog: Any) -> None:
    _generators._warned.clear()
    manager, _ = recorded()
    for _ in zip(session(manager, "one"), session(manager, "two"), strict=True):
        pass
    in_copies(session(manager, "three"))
    assert caplog.messages == []


def test_it_costs_nobody_else_anything(monkeypatch: Any) -> None:
    monkeypatch.setattr(_generators, "current", None)
    monkeypatch.setattr(_generators, "became_current", None)
    manager, recorder = recorded()
    with telemetry_context(manager), managed(manager):
        record(manager, "within")
    assert recorder.ended() == ["within", "workflow", "workflow"]


def test_a_run_that_is_never_left() -> None:
    told = run_program("""
        manager, recorder = recorded()
        def steps():
            with telemetry_context(manager):
                yield manager.start_span("open")
        generator = steps()
        next(generator)
        import atexit
        atexit.register(lambda: tell(recorder.ended()))
        """)
    assert told.errors == ""


@pytest.mark.parametrize("is_told", [True, False])
def test_the_generator_of_a_frame_is_found(is_told: bool, monkeypatch: Any) -> None:
    """Also where the interpreter does not say: before Python 3.11, and on Windows."""

    def steps() -> Iterator[Any]:
        yield sys._getframe()

    async def async_steps() -> AsyncIterator[Any]:
        yield sys._getframe()

    if not is_told:
        monkeypatch.setattr(_generators.native, "generator_of", lambda frame: None)
    generator, async_generator = steps(), async_steps()
    assert _generators._generator_of(next(generator)) is generator
    with pytest.raises(StopIteration) as stepped:
        async_generator.asend(None).send(None)
    assert _generators._generator_of(stepped.value.value) is async_generator
    assert _generators.native.generator_of("no frame") is None
