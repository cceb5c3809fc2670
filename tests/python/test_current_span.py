"""The current span follows the program: nesting, threads, tasks, generators, whoever ends what where."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from callboard import (
    InstrumentationManager,
    SpanContext,
    SpanKind,
    current_span,
    get_current_telemetry,
    telemetry_context,
)
from harness import Recorder, recorded, run_program


def in_thread(function: Any, *arguments: Any) -> Any:
    """What the function gives in a new thread, which starts without a current span."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.Context().run, function, *arguments).result()


@pytest.fixture(autouse=True)
def nothing_stays_current() -> Any:
    assert current_span() is None, "an earlier test left a span current"
    yield
    assert current_span() is None, "the test left a span current"


# ---- one context


def test_spans_nest_and_unwind() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        root = current_span()
        chat = manager.start_span(SpanKind.CHAT)
        reply = manager.start_span(SpanKind.REPLY)
        assert current_span() is reply
        manager.end_span()
        assert current_span() is chat
        manager.end_span()
        assert current_span() is root
        assert not root.ended
    assert root.ended
    assert recorder.parents() == {"workflow": None, "chat": "workflow", "reply": "chat"}
    assert recorder.ended() == ["reply", "chat", "workflow"]


def test_the_end_of_a_span_takes_what_is_within_it_off_too() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        root = current_span()
        outer = telemetry.start_span("outer")
        inner = telemetry.start_span("inner")
        outer.end()
        assert current_span() is root
        assert not inner.ended
        inner.end()
        assert current_span() is root
    assert recorder.ended() == ["outer", "inner", "workflow"]


def test_what_began_later_but_elsewhere_stays_current() -> None:
    manager, _ = recorded()
    with telemetry_context(manager) as telemetry:
        root = current_span()
        first = telemetry.start_span("first")
        beside = telemetry.start_span("beside", root)
        first.end()
        assert current_span() is beside
        within = telemetry.start_span("within")
        assert within.parent_span_id == beside.core_span_id
        beside.end()
        assert current_span() is root
        within.end()
        assert current_span() is root


def test_an_end_out_of_turn_skips_what_ended_before() -> None:
    manager, _ = recorded()
    with telemetry_context(manager) as telemetry:
        root = current_span()
        one = telemetry.start_span("one", root)
        two = telemetry.start_span("two", root)
        three = telemetry.start_span("three", root)
        two.end()
        assert current_span() is three
        three.end()
        assert current_span() is one
        one.end()
        assert current_span() is root


def test_a_span_ends_once() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        chat = telemetry.start_span("chat")
        chat.end()
        outer = current_span()
        chat.end()
        chat.set_attribute("late", 1)
        chat.record_event("late")
        chat.set_error("late")
        chat.record_exception(ValueError("late"))
        assert current_span() is outer
    assert recorder.ended() == ["chat", "workflow"]
    assert recorder.named("set_span_attribute") == recorder.named("record_event") == []


def test_a_span_that_ended_is_kept_by_nothing() -> None:
    manager, _ = recorded()
    with telemetry_context(manager) as telemetry:
        root = current_span()
        span = telemetry.start_span("span")
        reference = weakref.ref(span)
        span.end()
        held = {variable.name: value for variable, value in contextvars.copy_context().items()}
        assert held["callboard_current_span"] is root
        del span
        assert reference() is None


def test_a_manager_without_a_run_is_inert() -> None:
    manager, recorder = recorded()
    manager.end_span()
    manager.record_event("event", {"k": 1})
    span = manager.start_span(SpanKind.CHAT, None, {"k": 1})
    manager.set_attribute(span, "later", 2)
    assert current_span() is None
    assert span.ended
    assert (span.kind, span.core_span_id, span.attributes) == (SpanKind.CHAT, None, {"k": 1, "later": 2})
    span.end()
    assert manager.flush()
    assert recorder.calls == []


def test_a_span_that_is_not_made_current_is_not() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        root = current_span()
        child = root.start_child("child", current=False)
        assert current_span() is root
        child.end()
        assert current_span() is root
    assert recorder.parents()["child"] == "workflow"


def test_a_span_carried_elsewhere_and_back() -> None:
    manager, _ = recorded()
    with telemetry_context(manager) as telemetry:
        chat = telemetry.start_span("chat")
        carried = chat.activate()

        def elsewhere() -> Any:
            assert current_span() is None
            with carried as active:
                assert active is current_span() is chat
                with carried:  # Entered again before it is left.
                    telemetry.start_span("left open")
                assert current_span() is chat
            return current_span()

        assert in_thread(elsewhere) is None
        assert not chat.ended
        assert current_span() is chat


def test_a_span_that_ended_is_no_place_to_go_on() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        root = current_span()
        chat = telemetry.start_span("chat")
        chat.end()
        with chat.activate():
            assert current_span() is root
            telemetry.start_span("child").end()
    assert recorder.parents()["child"] == "workflow"


# ---- threads and tasks


def test_a_span_ended_in_another_thread_is_current_no_more() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        root = current_span()
        chat = telemetry.start_span("chat")
        in_thread(chat.end)
        assert current_span() is root
        telemetry.record_event("event")
        next_one = telemetry.start_span("next")
        assert next_one.parent_span_id == root.core_span_id
        telemetry.end_span()
        assert current_span() is root
        telemetry.end_span()
        assert current_span() is None
    assert recorder.ended() == ["chat", "next", "workflow"]
    assert recorder.named("record_event")[0].context.kind == SpanKind.WORKFLOW


def test_a_span_ended_in_another_task_is_current_no_more() -> None:
    async def main() -> None:
        manager, recorder = recorded()
        async with telemetry_context(manager) as telemetry:
            root = current_span()
            chat = telemetry.start_span("chat")

            async def end_it() -> None:
                assert current_span() is chat  # A task begins where it is made.
                chat.end()
                assert current_span() is root

            await asyncio.create_task(end_it())
            assert current_span() is root
        assert recorder.ended() == ["chat", "workflow"]

    asyncio.run(main())


def test_tasks_side_by_side_do_not_mix() -> None:
    async def main() -> None:
        manager, recorder = recorded()
        barrier = [asyncio.Event() for _ in range(3)]

        async def chat(number: int) -> None:
            span = manager.start_span(f"chat {number}")
            barrier[number].set()
            for event in barrier:
                await event.wait()
            reply = manager.start_span(f"reply {number}")
            await asyncio.sleep(0)
            assert current_span() is reply
            manager.end_span()
            assert current_span() is span
            manager.end_span()

        async with telemetry_context(manager):
            root = current_span()
            await asyncio.gather(*(chat(number) for number in range(3)))
            assert current_span() is root
        assert recorder.parents() == {
            "workflow": None,
            **{f"chat {number}": "workflow" for number in range(3)},
            **{f"reply {number}": f"chat {number}" for number in range(3)},
        }

    asyncio.run(main())


def test_two_contexts_at_once_in_two_tasks() -> None:
    async def main() -> None:
        both_in = asyncio.Event()
        waiting = [0]

        async def run(manager: InstrumentationManager, name: str) -> tuple[str, str]:
            async with telemetry_context(manager, name) as telemetry:
                waiting[0] += 1
                if waiting[0] == 2:
                    both_in.set()
                await both_in.wait()
                assert telemetry is manager is get_current_telemetry()
                span = telemetry.start_span(f"span of {name}")
                await asyncio.sleep(0)
                telemetry.end_span()
                return span.trace_id, span.parent_span_id

        manager, recorder = recorded()
        (one, _), (two, _) = await asyncio.gather(run(manager, "one"), run(manager, "two"))
        assert one != two
        traces = {call.context.trace_id for call in recorder.named("end_span")}
        assert traces == {one, two}
        assert sorted(call.given["name"] for call in recorder.named("start_trace")) == ["one", "two"]

        managers = [recorded(), recorded()]
        waiting[0] = 0
        both_in.clear()
        await asyncio.gather(*(run(manager, f"run {n}") for n, (manager, _) in enumerate(managers)))
        for number, (_, recorder) in enumerate(managers):
            assert recorder.parents() == {"workflow": None, f"span of run {number}": "workflow"}
            assert recorder.ended() == [f"span of run {number}", "workflow"]

    asyncio.run(main())


def test_two_contexts_at_once_in_two_threads() -> None:
    both_in = threading.Barrier(2)
    managers = [recorded(), recorded()]

    def run(number: int) -> None:
        manager = managers[number][0]
        with telemetry_context(manager, f"run {number}") as telemetry:
            both_in.wait()
            for count in range(200):
                assert get_current_telemetry() is manager
                telemetry.start_span(f"span {count}")
                telemetry.record_event("event", {"run": number})
                telemetry.end_span()
            both_in.wait()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [None, None]
    for number, (_, recorder) in enumerate(managers):
        assert recorder.events("event") == [{"run": number}] * 200
        assert len(recorder.ended()) == 201


def test_a_context_entered_in_one_thread_and_left_in_another() -> None:
    manager, recorder = recorded()
    context = telemetry_context(manager)
    in_thread(context.__enter__)
    assert current_span() is None
    context.__exit__(None, None, None)
    assert recorder.ended() == ["workflow"]


def test_a_generator_has_its_spans_where_it_is_driven() -> None:
    manager, recorder = recorded()

    def steps() -> Any:
        span = manager.start_span("step")
        try:
            yield
        finally:
            span.end()

    with telemetry_context(manager):
        root = current_span()
        for _ in steps():
            assert current_span().kind == "step"
        assert current_span() is root
        abandoned = steps()
        next(abandoned)
        abandoned.close()
        assert current_span() is root
    assert recorder.ended() == ["step", "step", "workflow"]


# ---- several managers, several runs


def test_a_nested_context_is_a_run_of_its_own_linked_to_the_outer() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager, "outer"):
        outer = manager.start_span(SpanKind.CHAT)
        with telemetry_context(manager, "inner", {"own": 1}):
            inner = current_span()
            assert inner.trace_id != outer.trace_id
            assert inner.parent_span_id is None
        assert current_span() is outer
    began = recorder.named("start_trace")[1].given
    assert began["name"] == "inner"
    assert began["attributes"] == {
        "own": 1,
        "callboard.outer.trace_id": outer.trace_id,
        "callboard.outer.span_id": outer.core_span_id,
    }


def test_managers_within_one_another_do_not_mix() -> None:
    (outer, seen_outside), (inner, seen_inside) = recorded(), recorded()
    with telemetry_context(outer, "outer"):
        with telemetry_context(inner, "inner"):
            assert get_current_telemetry() is inner
            root_inside = current_span()
            assert outer.get_current_span() is not root_inside
            outer.record_event("for outer")
            inner.record_event("for inner")
            span = outer.start_span("span of outer")
            assert inner.get_current_span() is root_inside
            outer.end_span()
            assert span.ended
            assert current_span() is root_inside
        assert get_current_telemetry() is outer
    assert [call.given["kind"] for call in seen_outside.named("record_event")] == ["for outer"]
    assert [call.given["kind"] for call in seen_inside.named("record_event")] == ["for inner"]
    assert seen_outside.parents() == {"workflow": None, "span of outer": "workflow"}
    assert seen_inside.parents() == {"workflow": None}


def test_the_outer_run_may_end_before_the_inner() -> None:
    (first, _), (second, seen) = recorded(), recorded()
    first.start_trace("first")
    root = second.start_trace("second")
    first.end_span()
    assert first.get_current_span() is None
    assert second.get_current_span() is root
    second.record_event("still there")
    second.end_span()
    assert second.flush()
    assert [call.given["kind"] for call in seen.named("record_event")] == ["still there"]


def test_one_context_object_entered_again() -> None:
    manager, recorder = recorded()
    context = telemetry_context(manager, "again")
    for _ in range(2):
        with context:
            pass
    with context, context:
        assert current_span() is not None
    assert len(recorder.named("start_trace")) == 4
    assert recorder.ended() == ["workflow"] * 4


# ---- what is left open or let go of


def test_leaving_the_context_ends_what_is_open() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        chat = telemetry.start_span("chat")
        telemetry.start_span("reply")
        elsewhere = in_thread(chat.start_child, "elsewhere")
    assert elsewhere.ended
    assert recorder.ended() == ["elsewhere", "reply", "chat", "workflow"]
    for kind in ("elsewhere", "reply", "chat"):
        assert recorder.set_on(kind) == {"callboard.span.ended_by": "run_end"}
    assert recorder.set_on("workflow") == {}


def test_a_handle_that_nobody_holds_is_ended_and_marked() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        current_span().start_child("forgotten", current=False)
        gc.collect()
        assert manager.flush()
        assert recorder.ended() == ["forgotten"]
        assert recorder.set_on("forgotten") == {"callboard.span.ended_by": "dropped"}


def test_a_handle_in_a_cycle_is_collected() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        holder: dict[str, Any] = {}
        holder["self"] = holder
        holder["span"] = current_span().start_child("forgotten", current=False)
        del holder
        gc.collect()
        assert manager.flush()
        assert recorder.ended() == ["forgotten"]


def test_a_span_whose_context_is_gone_is_ended_and_marked() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        root = current_span()
        contextvars.copy_context().run(manager.start_span, "forgotten")
        assert current_span() is root
        gc.collect()
        assert manager.flush()
        assert recorder.set_on("forgotten") == {"callboard.span.ended_by": "dropped"}


def test_a_program_that_never_ends_its_spans() -> None:
    """As many as it takes to overflow the stack, were each let go of within the next."""
    told = run_program("""
        manager = InstrumentationManager()
        with telemetry_context(manager):
            for _ in range(300_000):
                manager.start_span("endless")
        tell(current_span())
        manager.start_trace("again")
        for _ in range(300_000):
            manager.start_span("endless")
        """).lines()
    assert told == [None]


def test_the_handle_of_a_root_holds_the_manager() -> None:
    manager, recorder = recorded()
    root = manager.start_trace("run")
    del manager
    gc.collect()
    assert isinstance(root, SpanContext)
    manager = get_current_telemetry()
    assert manager is root.manager
    manager.record_event("event")
    root.end()
    assert manager.flush()
    assert isinstance(recorder, Recorder)
    assert recorder.ended() == ["workflow"]
