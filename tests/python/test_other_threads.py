"""What is current goes on in threads that a program starts and in work that it submits, and is nowhere else."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from callboard import SpanKind, current_span, telemetry_context
from harness import recorded


def kind() -> str | None:
    span = current_span()
    return None if span is None else span.kind


class Own(threading.Thread):
    def __init__(self, found: list[Any]) -> None:
        super().__init__()
        self.found = found

    def run(self) -> None:
        self.found.append(kind())


def given_a_run(found: list[Any]) -> threading.Thread:
    """A thread whose `run` the program set on it."""
    thread = threading.Thread()
    vars(thread)["run"] = lambda: found.append(kind())
    return thread


THREADS: dict[str, Any] = {
    "target": lambda found: threading.Thread(target=lambda: found.append(kind())),
    "timer": lambda found: threading.Timer(0.001, lambda: found.append(kind())),
    "subclass": Own,
    "run given": given_a_run,
}


@pytest.mark.parametrize("make", THREADS.values(), ids=THREADS)
def test_a_thread_goes_on_where_it_was_started(make: Any) -> None:
    manager, _ = recorded()
    found: list[Any] = []
    made_before, made_within = make(found), None
    with telemetry_context(manager):
        manager.start_span(SpanKind.CHAT)
        made_within = make(found)
        own = dict(vars(made_within))
        for thread in (made_before, made_within):
            thread.start()
            thread.join()
        left = vars(made_within)
    assert found == ["chat", "chat"]
    assert left.get("run") is own.get("run"), "the thread is as it was"


def test_a_thread_of_a_thread() -> None:
    manager, recorder = recorded()
    found: list[Any] = []

    def first() -> None:
        manager.start_span(SpanKind.ROUND)
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        manager.end_span()

    def second() -> None:
        found.append(kind())
        manager.start_span(SpanKind.REPLY)
        manager.end_span()

    with telemetry_context(manager):
        thread = threading.Thread(target=first)
        thread.start()
        thread.join()
        assert kind() == "workflow"
    assert found == ["round"]
    assert recorder.parents() == {"workflow": None, "round": "workflow", "reply": "round"}


def test_a_thread_that_outlives_the_run_has_none_then() -> None:
    manager, _ = recorded()
    found: list[Any] = []
    ended = threading.Event()

    def lasts() -> None:
        found.append(kind())
        ended.wait(10)
        found.append(kind())

    thread = threading.Thread(target=lasts)
    with telemetry_context(manager):
        thread.start()
    ended.set()
    thread.join()
    assert found == ["workflow", None]


def test_what_a_thread_raises_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    manager, _ = recorded()
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda given: told.append((given.exc_type, given.thread)))

    def fails() -> None:
        raise ValueError("mine")

    with telemetry_context(manager):
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()
    assert told == [(ValueError, thread)]


def test_a_thread_that_cannot_be_started_again_says_so() -> None:
    manager, _ = recorded()
    found: list[Any] = []
    with telemetry_context(manager):
        thread = threading.Thread(target=lambda: found.append(kind()))
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        assert "run" not in vars(thread)
    assert len(found) == 1


def test_work_that_is_submitted() -> None:
    """Each piece has what was current where it was submitted; the worker, whoever had it started, has none."""
    manager, _ = recorded()
    with ThreadPoolExecutor(1) as pool:
        with telemetry_context(manager):
            assert pool.submit(kind).result() == "workflow"
            manager.start_span(SpanKind.CHAT)
            assert list(pool.map(lambda _: kind(), range(2))) == ["chat", "chat"]
            manager.end_span()
        assert pool.submit(kind).result() is None


def test_a_worker_begins_with_none() -> None:
    manager, _ = recorded()
    found: list[Any] = []
    with telemetry_context(manager), ThreadPoolExecutor(1, initializer=lambda: found.append(kind())) as pool:
        pool.submit(kind).result()
    assert found == [None]


def test_what_is_called_back_once_it_is_done() -> None:
    manager, _ = recorded()
    found: list[Any] = []
    begun, go = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(begun.set)
        future = pool.submit(go.wait, 10)
        begun.wait(10)
        with telemetry_context(manager):
            future.add_done_callback(fn=lambda _: found.append(kind()))
            go.set()
            pool.submit(kind).result()
            future.add_done_callback(lambda _: found.append("at once"))
    assert found == ["workflow", "at once"]


def test_asyncio() -> None:
    manager, _ = recorded()

    async def a_kind() -> str | None:
        return kind()

    async def main() -> list[str | None]:
        loop = asyncio.get_running_loop()
        manager.start_span(SpanKind.CHAT)

        def elsewhere() -> str | None:
            return asyncio.run_coroutine_threadsafe(a_kind(), loop).result(10)

        return [
            await loop.run_in_executor(None, kind),
            await asyncio.to_thread(kind),
            await loop.run_in_executor(None, elsewhere),
        ]

    with telemetry_context(manager):
        assert asyncio.run(main()) == ["chat", "chat", "chat"]


def test_nothing_is_left_when_no_run_needs_it() -> None:
    manager, _ = recorded()
    methods = [(threading.Thread, "start"), (ThreadPoolExecutor, "submit"), (Future, "add_done_callback")]
    before = [vars(owner)[name] for owner, name in methods]
    with telemetry_context(manager):
        assert [vars(owner)[name] is not was for (owner, name), was in zip(methods, before, strict=True)] == [True] * 3
    assert [vars(owner)[name] for owner, name in methods] == before
