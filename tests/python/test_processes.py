"""Forks and other processes: each records for itself, with its own ids, and none repeats another's."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from harness import PRELUDE, read_diary, run_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")

FORKING = (
    PRELUDE
    + """
manager = InstrumentationManager()
diary = Diary(sys.argv[1])
manager.register_provider(diary)

def fork(child):
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    return pid

def reap(pid):
    deadline = time.monotonic() + 60
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, f"the child ended with {status}"
            return
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGABRT)
            raise AssertionError("the child is stuck")
        time.sleep(0.002)

import signal, time
"""
)


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


def test_a_child_records_for_itself_and_leaves_its_parents_spans_alone(diary: Path) -> None:
    [(parent, child)] = run_program(
        """
        def child():
            assert current_span() is None and get_current_telemetry() is None
            chat.set_attribute("from", "child")
            chat.record_event("from child")
            chat.end()
            manager.end_span()
            with telemetry_context(manager, "in the child") as telemetry:
                telemetry.start_span(SpanKind.REPLY)

        with telemetry_context(manager, "in the parent") as telemetry:
            chat = telemetry.start_span(SpanKind.CHAT)
            pid = fork(child)
            reap(pid)
            assert not chat.ended and current_span() is chat
            telemetry.record_event("from parent")
        tell(os.getpid(), pid)
        """,
        str(diary),
        prelude=FORKING,
    ).lines()
    calls = [(line["pid"], line["call"], line.get("kind")) for line in read_diary(diary)]
    assert [call for call in calls if call[0] == child] == [
        (child, "start_trace", None),
        (child, "start_span", "reply"),
        (child, "set_span_attribute", None),
        (child, "end_span", "reply"),
        (child, "end_span", "workflow"),
    ]
    assert [call for call in calls if call[0] == parent] == [
        (parent, "start_trace", None),
        (parent, "start_span", "chat"),
        (parent, "record_event", "from parent"),
        (parent, "set_span_attribute", None),
        (parent, "end_span", "chat"),
        (parent, "end_span", "workflow"),
    ]


def test_a_child_that_leaves_its_parents_context_and_exits_ends_nothing(diary: Path) -> None:
    """As a program does that forks inside the block, and whose child goes on to the block's end."""
    [parent] = run_program(
        """
        with telemetry_context(manager):
            manager.start_span(SpanKind.CHAT)
            pid = os.fork()
        if pid == 0:
            sys.exit()
        reap(pid)
        tell(os.getpid())
        """,
        str(diary),
        prelude=FORKING,
    ).lines()
    assert Counter(line["call"] for line in read_diary(diary)) == {
        "start_trace": 1,
        "start_span": 1,
        "set_span_attribute": 1,
        "end_span": 2,
    }
    assert {line["pid"] for line in read_diary(diary)} == {parent}


def test_what_a_provider_holds_back_is_passed_on_once(diary: Path) -> None:
    run_program(
        """
        class Buffering(Diary):
            def flush(self):
                self.write("flush", held=len(self.calls))
                self.calls.clear()
            shutdown = flush

        manager = InstrumentationManager()
        manager.register_provider(Buffering(sys.argv[1]))
        manager.start_trace("run")
        wait_until(lambda: manager.statistics()["providers"][0]["delivered"] == 1, "it has come")
        pid = os.fork()
        if pid == 0:
            sys.exit()
        reap(pid)
        """,
        str(diary),
        prelude=FORKING,
    )
    [flush] = read_diary(diary, "flush")
    assert flush["held"] == 2


def test_children_share_no_ids(diary: Path) -> None:
    run_program(
        """
        def child():
            with telemetry_context(manager):
                for _ in range(50):
                    manager.start_span(SpanKind.CHAT).end()

        with telemetry_context(manager):
            manager.start_span(SpanKind.CHAT)
            for pid in [fork(child) for _ in range(10)]:
                reap(pid)
        """,
        str(diary),
        prelude=FORKING,
    )
    ids = [line["id"] for call in ("start_trace", "start_span") for line in read_diary(diary, call)]
    assert len(set(ids)) == len(ids) == 10 * 51 + 2


def test_forks_while_other_threads_record_and_wait(diary: Path) -> None:
    """Whatever the other threads and callboard's own are in the midst of, no child is stuck."""
    run_program(
        """
        costs = CostTrackerProvider()
        manager.register_provider(costs)
        done = False

        def work():
            with telemetry_context(manager):
                while not done:
                    manager.start_span(SpanKind.CHAT, None, {"text": "x" * 2000})
                    manager.record_event("busy", {"n": [1, {"m": 2}]})
                    manager.record_event(EventKind.COST, {"ag2.cost": 0.1})
                    manager.end_span()

        def wait():
            while not done:
                manager.flush(0.01)
                costs.total_cost
                manager.statistics()

        def churn():
            while not done:
                other, recorder = recorded()
                with telemetry_context(other):
                    other.deregister_provider(recorder)

        def child():
            mine, seen = recorded()
            with telemetry_context(mine):
                mine.record_event("in the child")
            assert len(seen.events("in the child")) == 1
            with telemetry_context(manager, "in the child"):
                manager.record_event(EventKind.COST, {"ag2.cost": 1})
                before = costs.total_cost
                manager.record_event(EventKind.COST, {"ag2.cost": 1})
                assert abs(costs.total_cost - before - 1) < 1e-9
            assert manager.shutdown()

        threads = [threading.Thread(target=target) for target in (work, work, wait, churn)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(30):
                reap(fork(child))
        finally:
            done = True
        for thread in threads:
            thread.join()
        """,
        str(diary),
        prelude=FORKING,
    )
    children = [line for line in read_diary(diary, "start_trace") if line["name"] == "in the child"]
    assert len({line["pid"] for line in children}) == len(children) == 30
    ends = Counter(line["id"] for line in read_diary(diary, "end_span"))
    assert set(ends.values()) == {1}, "a span ended twice"


def test_a_grandchild_records_too(diary: Path) -> None:
    run_program(
        """
        def grandchild():
            with telemetry_context(manager, "grandchild"):
                pass

        def child():
            with telemetry_context(manager, "child"):
                reap(fork(grandchild))

        with telemetry_context(manager, "parent"):
            reap(fork(child))
        """,
        str(diary),
        prelude=FORKING,
    )
    assert sorted(line["name"] for line in read_diary(diary, "start_trace")) == [
        "child",
        "grandchild",
        "parent",
    ]
    assert len(read_diary(diary, "end_span")) == 3


def test_a_manager_that_was_shut_down_stays_so_in_a_child_and_holds_up_no_fork(diary: Path) -> None:
    run_program(
        """
        finished = []
        for _ in range(20):
            finished.append(recorded()[0])
            with telemetry_context(finished[-1]):
                pass
            assert finished[-1].shutdown()

        def child():
            with telemetry_context(finished[0]):
                pass
            assert finished[0].flush()
            assert finished[0].statistics()["dropped"] == 2

        # Each that had to be waited for would take seconds.
        begun = time.monotonic()
        for pid in [fork(child) for _ in range(3)]:
            reap(pid)
        assert time.monotonic() - begun < 30
        """,
        str(diary),
        prelude=FORKING,
    )


def test_a_child_knows_the_providers_results_so_far(diary: Path) -> None:
    run_program(
        """
        costs, diagram = CostTrackerProvider(), MermaidDiagramProvider()
        manager.register_provider(costs)
        manager.register_provider(diagram)
        said = {"ag2.agent.sender": "jack", "ag2.agent.recipient": "emma", "ag2.message": "Hi"}
        said["ag2.silent"] = False

        def child():
            assert costs.total_cost == 1
            with telemetry_context(manager):
                manager.record_event(EventKind.COST, {"ag2.cost": 2})
                manager.record_event(EventKind.AGENT_SEND_MSG, said)
                assert costs.total_cost == 3
                assert diagram.generate_sequence_diagram().count("->>") == 1
                assert len(diagram.interactions) == 2

        with telemetry_context(manager):
            manager.record_event(EventKind.COST, {"ag2.cost": 1})
            manager.record_event(EventKind.AGENT_SEND_MSG, said)
            assert costs.total_cost == 1
            reap(fork(child))
            assert costs.total_cost == 1
            assert diagram.generate_sequence_diagram().count("->>") == 1
        """,
        str(diary),
        prelude=FORKING,
    )


WORKERS = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from callboard import *
from harness import Diary

def work(path, name):
    manager = InstrumentationManager()
    manager.register_provider(Diary(path))
    with telemetry_context(manager, name) as telemetry:
        telemetry.start_span(SpanKind.CHAT)
    # What is recorded outside of a block arrives too.
    manager.start_trace(name + ", left open")
    manager.record_event("last")
    globals()["kept"] = manager
    return os.getpid()

if __name__ == "__main__":
    path, method, how = sys.argv[1:]
    context = multiprocessing.get_context(method)
    manager = InstrumentationManager()
    manager.register_provider(Diary(path))
    with telemetry_context(manager, "parent"):
        if how == "process":
            workers = [context.Process(target=work, args=(path, f"worker {n}")) for n in range(3)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
                assert worker.exitcode == 0
        elif how == "pool":
            with context.Pool(2) as pool:
                pool.starmap(work, [(path, f"worker {n}") for n in range(3)], chunksize=1)
                pool.close()
                pool.join()
        else:
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                list(pool.map(work, [path] * 3, [f"worker {n}" for n in range(3)]))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("how", ["process", "pool", "executor"])
def test_workers_record(diary: Path, tmp_path: Path, method: str, how: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(WORKERS)
    program = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    if method != "fork":
        # A worker of these methods imports the program's main module, so it has to be one.
        command = f"[sys.executable, {str(script)!r}, *sys.argv[1:]]"
        program = f"import subprocess, sys; sys.exit(subprocess.call({command}))"
    run_program(program, str(diary), method, how, prelude="")
    names = [line["name"] for line in read_diary(diary, "start_trace")]
    expected = [f"worker {number}" for number in range(3)]
    assert sorted(names) == sorted(["parent", *expected, *(f"{name}, left open" for name in expected)])
    ends = Counter(line["kind"] for line in read_diary(diary, "end_span"))
    assert ends == {"workflow": 7, "chat": 3}
    assert len(read_diary(diary, "record_event")) == 3


def test_threads_of_an_executor_record_where_their_work_was_submitted() -> None:
    told = run_program("""
        import contextvars
        from concurrent.futures import ThreadPoolExecutor
        manager, recorder = recorded()
        def work(number):
            with manager.start_span(f"span {number}"):
                return get_current_telemetry() is manager
        with telemetry_context(manager) as telemetry, ThreadPoolExecutor(4) as pool:
            chat = telemetry.start_span(SpanKind.CHAT)
            contexts = [contextvars.copy_context() for _ in range(20)]
            assert all(pool.map(lambda context, number: context.run(work, number), contexts, range(20)))
            assert all(pool.map(work, range(20, 40)))
            assert current_span() is chat
        tell(sorted(recorder.parents().items()))
        """).lines()
    expected = {"workflow": None, "chat": "workflow", **{f"span {number}": "chat" for number in range(40)}}
    assert told == [sorted(map(list, expected.items()))]
