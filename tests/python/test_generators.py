"""A run that a generator opens is current in the generator's steps, wherever they run, and nowhere else."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from callboard import current_span, telemetry_context
from generator_runs import async_session, children, in_copies, nothing_stays, record, session
from harness import recorded

__all__ = ["nothing_stays"]  # a fixture


# ---- the steps


def test_two_sessions_in_one_thread_do_not_mix() -> None:
    (one, of_one), (two, of_two) = recorded(), recorded()
    first, second = session(one, "one"), session(two, "two")
    for _ in range(3):
        next(first)
        assert current_span() is None
        next(second)
        assert current_span() is None
    assert [*first, *second] == []
    assert of_one.parents() == children("one")
    assert of_two.parents() == children("two")
    assert of_two.named("start_trace")[0].given["attributes"] == {}, "it is not within the other"


def test_two_sessions_of_one_manager() -> None:
    manager, recorder = recorded()
    first, second = session(manager, "one"), session(manager, "two")
    traces = {name: set() for name in ("one", "two")}
    for _ in zip(first, second, strict=True):
        pass
    for call in recorder.named("end_span"):
        if call.context.kind != "workflow":
            traces[call.context.kind.split()[0]].add(call.context.trace_id)
    assert [len(ids) for ids in traces.values()] == [1, 1]
    assert traces["one"] != traces["two"]


def test_what_happens_between_is_of_the_run_around() -> None:
    (inner, of_inner), (outer, of_outer) = recorded(), recorded()
    with telemetry_context(outer, "outer"):
        root = current_span()
        for name in session(inner, "inner"):
            assert current_span() is root
            record(outer, f"between {name}")
        assert current_span() is root
    assert of_inner.parents() == children("inner")
    assert of_outer.parents() == {"workflow": None, **{f"between inner {n}": "workflow" for n in range(3)}}


def test_each_step_may_run_in_another_context_and_thread() -> None:
    manager, recorder = recorded()

    def steps() -> Iterator[int]:
        with telemetry_context(manager):
            with manager.start_span("open over steps"):
                yield 1
                record(manager, "in the second")
                yield 2
            record(manager, "in the last")

    assert in_copies(steps()) == [1, 2]
    assert recorder.parents() == {
        "workflow": None,
        "open over steps": "workflow",
        "in the second": "open over steps",
        "in the last": "workflow",
    }
    assert recorder.ended() == ["in the second", "open over steps", "in the last", "workflow"]


def test_two_async_sessions_in_one_task() -> None:
    async def main() -> None:
        first, second = async_session(one, "one"), async_session(two, "two")
        for _ in range(3):
            await anext(first)
            assert current_span() is None
            await anext(second)
            await asyncio.gather(*(asyncio.to_thread(one.record_event, "between") for _ in range(2)))
        assert [name async for name in first] == [name async for name in second] == []

    (one, of_one), (two, of_two) = recorded(), recorded()
    asyncio.run(main())
    assert of_one.parents() == children("one")
    assert of_two.parents() == children("two")
    assert of_one.events("between") == []


def test_generators_within_generators() -> None:
    (outer, of_outer), (inner, of_inner) = recorded(), recorded()

    def around() -> Iterator[str]:
        with telemetry_context(outer, "outer"):
            for name in session(inner, "inner"):
                record(outer, f"around {name}")
                yield name
            yield from session(inner, "delegated", 1)

    assert len(list(zip(around(), range(10), strict=False))) == 4
    assert of_outer.parents() == {"workflow": None, **{f"around inner {n}": "workflow" for n in range(3)}}
    assert of_inner.parents() == {**children("inner"), "delegated 0": "workflow"}


def test_several_contexts_of_one_generator() -> None:
    (outer, of_outer), (inner, of_inner) = recorded(), recorded()

    def steps() -> Iterator[int]:
        with telemetry_context(outer), telemetry_context(inner):
            yield 1
            record(inner, "inner")
            record(outer, "outer")
            yield 2
        record(outer, "outside")

    assert in_copies(steps()) == [1, 2]
    assert of_outer.parents() == {"workflow": None, "outer": "workflow"}
    assert of_inner.parents() == {"workflow": None, "inner": "workflow"}


def test_a_run_within_a_step_is_itself_current() -> None:
    (outer, of_outer), (inner, of_inner) = recorded(), recorded()

    def steps() -> Iterator[int]:
        with telemetry_context(outer):
            yield 1
            with telemetry_context(inner):
                record(inner, "inner")
            record(outer, "outer")
            yield 2

    assert in_copies(steps()) == [1, 2]
    assert of_inner.parents() == {"workflow": None, "inner": "workflow"}
    assert of_outer.parents() == {"workflow": None, "outer": "workflow"}
    assert of_inner.named("start_trace")[0].given["attributes"].keys() == {
        "callboard.outer.trace_id",
        "callboard.outer.span_id",
    }


# ---- what steps start


def test_what_a_step_starts_is_of_its_run() -> None:
    manager, recorder = recorded()

    async def later(gate: asyncio.Event, name: str) -> None:
        record(manager, f"{name} at once")
        await gate.wait()
        record(manager, f"{name} later")

    async def steps(gate: asyncio.Event) -> AsyncIterator[int]:
        async with telemetry_context(manager):
            task = asyncio.create_task(later(gate, "task"))
            await asyncio.gather(asyncio.sleep(0), asyncio.to_thread(record, manager, "in a thread"))
            yield 1
            await task
            yield 2

    async def main() -> None:
        gate = asyncio.Event()
        generator = steps(gate)
        await anext(generator)
        gate.set()
        await asyncio.sleep(0.01)  # The task goes on while the generator is suspended.
        record(manager, "between")
        assert [number async for number in generator] == [2]

    asyncio.run(main())
    assert recorder.parents() == {
        "workflow": None,
        "task at once": "workflow",
        "in a thread": "workflow",
        "task later": "workflow",
    }


def test_threads_that_a_step_starts() -> None:
    manager, recorder = recorded()

    def work(name: str, begin: threading.Event) -> None:
        begin.wait()
        record(manager, name)

    def steps(begin: threading.Event) -> Iterator[int]:
        with telemetry_context(manager), ThreadPoolExecutor(1) as pool:
            thread = threading.Thread(target=work, args=("in a thread", begin))
            thread.start()
            done = pool.submit(work, "in a pool", begin)
            yield 1
            thread.join()
            done.result()

    begin = threading.Event()
    generator = steps(begin)
    next(generator)
    begin.set()
    assert list(generator) == []
    assert recorder.parents() == {"workflow": None, "in a thread": "workflow", "in a pool": "workflow"}


def test_a_loop_that_runs_in_a_step() -> None:
    manager, recorder = recorded()

    async def work(number: int) -> None:
        with manager.start_span(f"task {number}"):
            await asyncio.sleep(0)
            record(manager, f"within task {number}")

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(2)))

    def steps() -> Iterator[int]:
        with telemetry_context(manager):
            yield 1
            asyncio.run(main())

    assert in_copies(steps()) == [1]
    assert recorder.parents() == {
        "workflow": None,
        **{f"task {number}": "workflow" for number in range(2)},
        **{f"within task {number}": f"task {number}" for number in range(2)},
    }


# ---- how it ends


def test_a_generator_that_is_abandoned() -> None:
    manager, recorder = recorded()

    def steps() -> Iterator[int]:
        with telemetry_context(manager):
            try:
                yield 1
            finally:
                record(manager, "at the end")

    for end in (lambda generator: generator.close(), lambda generator: None):
        generator = steps()
        next(generator)
        record(manager, "between")
        end(generator)
        del generator
        assert current_span() is None
    assert recorder.ended() == ["at the end", "workflow"] * 2


def test_a_generator_in_a_cycle_is_collected() -> None:
    class Session:
        def __init__(self) -> None:
            self.steps = self.run()

        def run(self) -> Iterator[int]:
            with telemetry_context(manager):
                yield 1

    manager, recorder = recorded()
    next(Session().steps)
    gc.collect()
    assert manager.flush()
    assert recorder.ended() == ["workflow"]


def test_async_generators_that_are_abandoned() -> None:
    async def main() -> None:
        for close in (True, False):
            generator = async_session(manager, "session")
            await anext(generator)
            if close:
                await generator.aclose()
            del generator
            await asyncio.sleep(0)
            assert current_span() is None
        del close

    manager, recorder = recorded()
    asyncio.run(main())
    assert recorder.ended() == ["session 0", "workflow"] * 2


def test_an_exception_that_ends_a_generator() -> None:
    manager, recorder = recorded()

    def steps() -> Iterator[int]:
        with telemetry_context(manager):
            yield 1
            raise ValueError("in the second step")

    generator = steps()
    next(generator)
    with pytest.raises(ValueError, match="second"):
        next(generator)
    assert recorder.events("exception")[0]["exception.message"] == "in the second step"
