"""Histories of messages: what a program has at each call is what is recorded, whatever it did to its list in between."""

from __future__ import annotations

import copy
import gc
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from callboard import telemetry_context
from harness import recorded, run_program

OWNER = ("jack", "emma")


def message(number: int) -> dict[str, Any]:
    return {"role": "user", "content": f"message {number}", "tool_calls": [{"id": str(number)}]}


def record(*steps: Callable[[list[Any]], Any], owner: Any = OWNER) -> None:
    """Has each step change a list, and records the list after each; what a provider is shown is what it was then."""
    manager, recorder = recorded()
    history: list[Any] = []
    expected = []
    with telemetry_context(manager):
        for step in steps:
            replaced = step(history)
            history = replaced if isinstance(replaced, list) else history
            span = manager.start_span("call")
            value = span.messages(owner, history)
            assert len(value) == len(history)
            span.set_attribute("whole", value)
            span.record_event("sent", {"params": {"messages": value, "model": "m"}})
            expected.append(copy.deepcopy(history))
            manager.end_span()
    assert recorder.events("sent") == [{"params": {"messages": shown, "model": "m"}} for shown in expected]
    shown = [call.given["value"] for call in recorder.named("set_span_attribute")]
    assert shown == expected


def grow(number: int) -> Callable[[list[Any]], None]:
    return lambda history: history.append(message(number))


def test_one_that_grows() -> None:
    record(*(grow(number) for number in range(20)))


def test_one_that_stays_the_same() -> None:
    record(grow(1), lambda history: None, lambda history: None)


def test_one_that_becomes_shorter_and_grows_again() -> None:
    record(*(grow(number) for number in range(5)), lambda history: history.__delitem__(slice(2, None)), grow(7))
    record(grow(1), grow(2), lambda history: history.clear(), grow(3))


def test_one_that_is_replaced() -> None:
    record(grow(1), grow(2), lambda _: [message(7), message(8), message(9)], grow(10))
    record(grow(1), grow(2), lambda history: [history[0], message(8)], grow(10))


def test_one_that_begins_anew_with_a_summary() -> None:
    keep_last = [*(grow(number) for number in range(6)), lambda history: [message(100), *history[-2:]], grow(6)]
    record(*keep_last)


def test_one_whose_beginning_changes() -> None:
    record(*(grow(number) for number in range(5)), lambda history: history.insert(0, message(50)), grow(5))


def test_deep_copies_count_as_the_same() -> None:
    record(*(grow(number) for number in range(5)), copy.deepcopy, grow(5), copy.deepcopy)


@pytest.mark.parametrize("back", [1, 2])
def test_one_of_the_newest_messages_that_is_changed_in_place(back: int) -> None:
    def change(history: list[Any]) -> None:
        history[-back]["content"] = "changed"
        history[-back]["tool_calls"].append({"id": "late"})

    record(*(grow(number) for number in range(10)), change, grow(10), change)


def test_an_older_message_that_is_changed_in_place_shows_after_a_while() -> None:
    """All messages are compared with what is known of them, a few a call in turn."""
    manager, recorder = recorded()
    history = [message(number) for number in range(20)]
    with telemetry_context(manager) as telemetry:
        span = telemetry.get_current_span()
        telemetry.record_event("sent", {"messages": span.messages(OWNER, history)})
        history[3]["content"] = "changed"
        for _ in range(20):
            telemetry.record_event("sent", {"messages": span.messages(OWNER, history)})
    assert recorder.last_attributes() == {"messages": history}


def test_what_is_recorded_does_not_change_with_the_list() -> None:
    manager, recorder = recorded()
    history = [message(1), message(2)]
    before = copy.deepcopy(history)
    with telemetry_context(manager) as telemetry:
        value = telemetry.get_current_span().messages(OWNER, history)
        history[0]["content"] = "changed"
        history.clear()
        telemetry.record_event("sent", {"messages": value})
        assert repr(value) == "<2 messages>"
    assert recorder.last_attributes() == {"messages": before}


def test_messages_of_every_kind() -> None:
    odd = [None, "text", 3, math.inf, {1: 2}, {"content": [{"type": "text", "text": "part"}]}, {}, [], b"bytes"]
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        for length in range(len(odd) + 1):
            telemetry.record_event("sent", {"m": telemetry.get_current_span().messages(OWNER, odd[:length])})
    shown = [event["m"] for event in recorder.events("sent")]
    assert shown[-1] == [None, "text", 3, math.inf, {"1": 2}, *odd[5:]]
    assert shown == [shown[-1][:length] for length in range(len(odd) + 1)]


def test_what_is_no_list() -> None:
    manager, recorder = recorded()
    unused = (number for number in range(3))
    with telemetry_context(manager) as telemetry:
        span = telemetry.get_current_span()
        for given in ((message(1), message(2)), (), None, message(1), "text", unused, 7):
            telemetry.record_event("sent", {"m": span.messages(OWNER, given)})
    shown = [event["m"] for event in recorder.events("sent")]
    assert shown[:5] == [[message(1), message(2)], [], [], [message(1)], ["text"]]
    assert "generator" in shown[5][0]
    assert shown[6] == [7]
    assert list(unused) == [0, 1, 2], "a generator was used up"


class Raising:
    def __hash__(self) -> int:
        raise ValueError

    __eq__ = __hash__  # type: ignore[assignment]  # on purpose


def test_an_owner_that_cannot_be_told_from_others_shares_nothing_but_is_right() -> None:
    for owner in ([], {}, Raising(), (1, Raising())):
        record(*(grow(number) for number in range(5)), owner=owner)


def test_owners_do_not_mix() -> None:
    manager, recorder = recorded()
    histories = {owner: [message(owner)] for owner in range(3)}
    with telemetry_context(manager) as telemetry:
        for round_number in range(5):
            for owner, history in histories.items():
                history.append(message(10 * round_number + owner))
                value = telemetry.get_current_span().messages(owner, history)
                telemetry.record_event(f"sent by {owner}", {"m": value})
    for owner, history in histories.items():
        shown = [event["m"] for event in recorder.events(f"sent by {owner}")]
        assert shown == [history[:length] for length in range(2, 7)]


def test_threads_that_share_an_owner() -> None:
    manager, recorder = recorded()
    begun = threading.Barrier(4)

    def work(number: int) -> None:
        with root.activate():
            begun.wait()
            history: list[Any] = []
            for count in range(50):
                history.append(message(1000 * number + count))
                manager.record_event("sent", {"n": number, "m": root.messages(OWNER, history)})

    with telemetry_context(manager) as telemetry:
        root = telemetry.get_current_span()
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(4):
        shown = [event["m"] for event in recorder.events("sent") if event["n"] == number]
        whole = [message(1000 * number + count) for count in range(50)]
        assert shown == [whole[: length + 1] for length in range(50)]


def test_a_message_that_records_the_history_that_it_is_in() -> None:
    """Rendering a message may come back here, for the same owner, and may let another thread come here."""

    class Telling:
        def __str__(self) -> str:
            if len(told) < 3:
                told.append(len(span.messages(OWNER, history)))
                beside = threading.Thread(target=lambda: told.append(len(span.messages(OWNER, history))))
                beside.start()
                beside.join()
            return "told"

    told: list[int] = []
    history: list[Any] = [message(0), {"content": Telling()}]
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        span = telemetry.get_current_span()
        for _ in range(2):
            telemetry.record_event("sent", {"m": span.messages(OWNER, history)})
    assert set(told) == {2}
    assert recorder.events("sent") == [{"m": [message(0), {"content": "told"}]}] * 2


def test_a_message_that_empties_the_list_that_it_is_in() -> None:
    class Emptying:
        def __str__(self) -> str:
            history.clear()
            return "emptied"

    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        span = telemetry.get_current_span()
        for _ in range(3):
            history: list[Any] = [message(0), {"content": Emptying()}, message(2)]
            telemetry.record_event("sent", {"m": span.messages(OWNER, history)})
    shown = [event["m"] for event in recorder.events("sent")]
    assert shown[0] == [message(0), {"content": "emptied"}]
    assert all(len(messages) <= 3 for messages in shown)


def test_the_programs_messages_are_let_go_of_when_the_run_ends() -> None:
    class Kept(dict):
        __slots__ = ("__weakref__",)

    manager, _ = recorded()
    with telemetry_context(manager) as telemetry:
        root = telemetry.get_current_span()
        history = [Kept(content="mine")]
        root.messages(OWNER, history)
        kept = weakref.ref(history.pop())
    gc.collect()
    assert kept() is None
    assert root.ended


def test_memory_grows_with_the_history_and_not_with_its_square() -> None:
    """A history of 3,000 messages of 1 kB, recorded whole at every call and kept, would take 4.5 GB call by call."""
    told = run_program("""
        import resource
        def peak_mib():
            unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        manager, kept, history = InstrumentationManager(), [], []
        with telemetry_context(manager) as telemetry:
            span = telemetry.get_current_span()
            before = peak_mib()
            for number in range(3000):
                # NaN is no reason to take a message for another one.
                history.append({"content": f"{number} " + "x" * 1000, "score": float("nan")})
                kept.append(span.messages("owner", history))
            tell([peak_mib() - before, len(kept[-1])])
        """)
    [(grown_mib, length)] = told.lines()
    assert length == 3000
    assert grown_mib < 100, f"{grown_mib} MiB"
