"""Whatever a program gives as an attribute is recorded, within bounds; nothing raises or is harmed by it."""

from __future__ import annotations

import dataclasses
import enum
import gc
import math
import signal
import threading
import weakref
from collections import OrderedDict
from typing import Any

import pytest
from callboard import SpanKind, telemetry_context
from harness import recorded

MOST_TEXT_BYTES = 8 << 20


def record(value: Any, key: Any = "k") -> Any:
    """What a provider is shown of a value."""
    manager, recorder = recorded()
    with telemetry_context(manager):
        manager.record_event("told", {key: value})
        manager.record_event("next", {"recording": "goes on"})
    assert recorder.last_attributes() == {"recording": "goes on"}
    [attributes] = recorder.events("told")
    [shown] = attributes.values()
    return shown


class Raising:
    """Everything that could be asked of it raises."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__
    __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __str__  # type: ignore[assignment] - on purpose


class Color(enum.Enum):
    RED = 1


class Word(str, enum.Enum):
    YES = "yes"


@dataclasses.dataclass
class Point:
    x: int
    inner: Any = None


class Model:
    """Dumps itself, as pydantic's models do."""

    def model_dump(self) -> dict[str, Any]:
        return {"name": "emma", "turns": [1, 2]}


def test_what_opentelemetry_knows_is_kept_as_it_is() -> None:
    for value in (True, False, 0, -(2**63), 2**63 - 1, 0.5, "text", "", "\U0001f41f", b"\x00bytes", None):
        shown = record(value)
        assert shown == value
        assert type(shown) is type(value)
    assert record(bytearray(b"ab")) == b"ab"


def test_lists_and_dicts_are_kept_with_all_that_is_in_them() -> None:
    message = {"content": "Hi", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}], "n": None}
    assert record(message) == message
    assert record((1, (2, 3))) == [1, [2, 3]]
    assert record({"only"}) == ["only"]
    assert record(frozenset()) == []
    assert record(OrderedDict(b=1, a=2)) == {"b": 1, "a": 2}
    assert list(record(OrderedDict(b=1, a=2))) == ["b", "a"]


def test_numbers_that_nobody_has_room_for() -> None:
    assert record(2**70) == "1180591620717411303424"
    assert record(-(2**63) - 1) == "-9223372036854775809"
    assert math.isnan(record(math.nan))
    assert record(-math.inf) == -math.inf
    # Newer Pythons refuse to write out so many digits.
    try:
        digits = str(10**5000)
    except ValueError:
        digits = "<int: str() raised ValueError>"
    assert record(10**5000) == digits


def test_text_that_is_no_unicode_is_kept_as_far_as_it_is() -> None:
    assert record("a\ud800b") == "a���b"
    assert record("v", key="k\ud800") == "v"


def test_objects_of_other_classes_are_shown_by_their_fields_or_their_text() -> None:
    assert record(Point(1, Point(2))) == {"x": 1, "inner": {"x": 2, "inner": None}}
    assert record(Model()) == {"name": "emma", "turns": [1, 2]}
    assert record(Color.RED) == "Color.RED"
    assert record(Word.YES) == "yes"
    assert record(ValueError("why")) == "why"
    assert record(Point) == str(Point)
    assert record(1 + 2j) == "(1+2j)"


def test_an_object_that_raises_is_named() -> None:
    assert record(Raising()) == "<Raising: str() raised ValueError>"
    assert record([1, Raising(), {"k": Raising()}]) == [
        1,
        "<Raising: str() raised ValueError>",
        {"k": "<Raising: str() raised ValueError>"},
    ]


def test_a_model_that_cannot_dump_itself_is_shown_as_text() -> None:
    class Broken(Model):
        def model_dump(self) -> dict[str, Any]:
            raise RuntimeError

        def __str__(self) -> str:
            return "broken"

    class Odd(Broken):
        def model_dump(self) -> Any:
            return "no dict"

    assert record(Broken()) == "broken"
    assert record(Odd()) == "broken"


def test_a_dict_is_read_as_the_dict_that_it_is() -> None:
    class Strange(dict):
        def items(self) -> Any:
            raise ValueError

        keys = values = __iter__ = __getitem__ = __len__ = items

    assert record(Strange(a=1)) == {"a": 1}
    manager, recorder = recorded()
    with telemetry_context(manager):
        manager.record_event("told", Strange(a=1))
    assert recorder.events("told") == [{"a": 1}]


def test_keys_that_are_no_text_become_text() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        manager.record_event("told", {1: "int", None: "none", ("a", 1): "tuple", Word.YES: "enum"})
    [attributes] = recorder.events("told")
    assert attributes == {"1": "int", "None": "none", "('a', 1)": "tuple", "yes": "enum"}
    assert record({1: {2: 3}}) == {"1": {"2": 3}}


def test_a_key_whose_text_changes_is_not_remembered() -> None:
    class Counter:
        count = 0

        def __str__(self) -> str:
            self.count += 1
            return f"key{self.count}"

    counter = Counter()
    manager, recorder = recorded()
    with telemetry_context(manager):
        manager.record_event("told", {counter: 1})
        manager.record_event("told", {counter: 2})
    assert recorder.events("told") == [{"key1": 1}, {"key2": 2}]
    alive = weakref.ref(counter)
    del counter
    gc.collect()
    assert alive() is None, "a key that is no text was kept alive"


def test_names_made_up_as_the_program_goes_are_not_all_kept() -> None:
    class Name(str):
        __slots__ = ("__weakref__",)

    name = Name("a name")
    alive = weakref.ref(name)
    assert record("v", key=name) == "v"
    for number in range(5000):
        record_nothing(f"name {number}")
    del name
    gc.collect()
    assert alive() is None


def record_nothing(key: str) -> None:
    manager, _ = recorded()
    manager.record_event("nowhere", {key: 1})


def test_a_generator_is_not_used_up() -> None:
    numbers = iter(range(3))
    squares = (number**2 for number in range(3))
    assert "range_iterator" in record(numbers)
    assert "generator" in record(squares)
    assert list(numbers) == [0, 1, 2]
    assert list(squares) == [0, 1, 4]


def test_a_cycle_ends_somewhere() -> None:
    around: list[Any] = [1]
    around.append(around)
    shown, depth = record(around), 0
    while isinstance(shown, list):
        shown, depth = shown[-1], depth + 1
    assert shown == "[nested too deep]"
    assert depth == 32


def test_a_value_nested_beyond_all_measure() -> None:
    nested: Any = "innermost"
    for _ in range(100_000):
        nested = [nested]
    assert "[nested too deep]" in str(record(nested))


def test_fifty_megabytes_are_cut_and_the_cut_is_told() -> None:
    size = 50_000_000
    shown = record("x" * size)
    assert shown.startswith("x" * 1000)
    assert shown.endswith(f"… [{size - MOST_TEXT_BYTES} bytes cut]")
    assert len(record(b"x" * size)) == MOST_TEXT_BYTES
    pieces = record(["x" * 1_000_000] * 50)
    assert sum(len(piece) for piece in pieces) < MOST_TEXT_BYTES + 50 * 50
    # A cut never parts a character.
    assert record("\U0001f41f" * 3_000_000).split("…")[0] == "\U0001f41f" * (MOST_TEXT_BYTES // 4)


def test_a_key_without_end_is_cut() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager):
        manager.record_event("told", {"k" * 50_000_000: 1})
    [attributes] = recorder.events("told")
    assert attributes == {"k" * 1024: 1}


def test_a_collection_without_end_is_cut() -> None:
    class Endless(set):
        def __iter__(self) -> Any:
            while True:
                yield 1

    for endless in (list(range(1_000_000)), {number: 1 for number in range(1_000_000)}, Endless()):
        shown = record(endless)
        assert len(shown) <= 100_001
        assert "[the rest was cut]" in (shown.values() if isinstance(shown, dict) else shown)


def test_a_dict_that_changes_while_it_is_read() -> None:
    """What a value runs as it is rendered may do anything to the dict that it is in."""

    class Growing:
        def __str__(self) -> str:
            given[f"new {len(given)}"] = 1
            return "grown"

    class Emptying:
        def __str__(self) -> str:
            given.clear()
            return "emptied"

    for changing, text in ((Growing(), "grown"), (Emptying(), "emptied")):
        manager, recorder = recorded()
        given: dict[str, Any] = {"a": changing, "b": changing, "c": {"d": changing}}
        with telemetry_context(manager):
            manager.record_event("told", given)
        assert recorder.events("told") == [{"a": text, "b": text, "c": {"d": text}}]
        shown = record(given)
        assert set(shown) <= {"a", "b", "c"} | {f"new {number}" for number in range(20)}


def test_a_list_that_changes_while_it_is_read() -> None:
    class Emptying:
        def __str__(self) -> str:
            given.clear()
            return "emptied"

    given = [Emptying(), 1, 2]
    assert record(given) == ["emptied"]


def test_what_the_program_changes_afterwards_does_not_show() -> None:
    message = {"content": "before", "tool_calls": [{"id": "1"}]}
    manager, recorder = recorded()
    with telemetry_context(manager, "name", {"at start": message}) as telemetry:
        span = telemetry.start_span(SpanKind.CHAT, None, {"at start": message})
        telemetry.set_attribute(span, "set later", message)
        telemetry.record_event("told", {"ag2.message": message})
        message["content"] = "after"
        message["tool_calls"].append({"id": "2"})
        del message["content"]
        telemetry.end_span()
    before = {"content": "before", "tool_calls": [{"id": "1"}]}
    assert recorder.named("start_trace")[0].given["attributes"] == {"at start": before}
    assert recorder.named("start_span")[0].given["attributes"] == {"at start": before}
    assert recorder.set_on("chat") == {"set later": before}
    assert recorder.events("told") == [{"ag2.message": before}]


def test_attributes_that_are_no_dict_are_none() -> None:
    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        for odd in (None, [], "text", 3, [("a", 1)], Raising()):
            telemetry.record_event("told", odd)
    assert recorder.events("told") == [{}] * 6


def test_a_kind_may_be_anything() -> None:
    class Other(enum.Enum):
        CHAT = "chat"

    manager, recorder = recorded()
    with telemetry_context(manager) as telemetry:
        for odd in ("mine", Other.CHAT, 3, None, Raising()):
            telemetry.start_span(odd)
            telemetry.record_event(odd)
            telemetry.end_span()
    expected = ["mine", "chat", "3", "None", "<Raising: str() raised ValueError>"]
    assert [call.given["kind"] for call in recorder.named("start_span")] == expected
    assert [call.given["kind"] for call in recorder.named("record_event")] == expected
    assert recorder.named("start_span")[1].given["kind"] is SpanKind.CHAT


def test_near_the_end_of_the_stack_recording_does_not_raise() -> None:
    """And what it works out there, where nothing can be called any more, is not kept for later."""
    manager, recorder = recorded()
    given = {"object": object(), "point": Point(1), "model": Model(), "color": Color.RED}
    returns = 0

    def descend() -> None:
        nonlocal returns
        try:
            descend()
        except RecursionError:
            return
        returns += 1
        # From the innermost levels not even a function of Python's own can be called.
        if 2 < returns <= 52:
            span = manager.start_span(SpanKind.REASONING, None, given)
            manager.set_attribute(span, "set", given)
            manager.record_event("told", given)
            manager.end_span()

    with telemetry_context(manager):
        descend()
        manager.start_span(SpanKind.REASONING)
        manager.end_span()
    kinds = [call.given["kind"] for call in recorder.named("start_span")]
    assert kinds == [SpanKind.REASONING] * 51
    told = recorder.events("told")
    assert len(told) == 50
    assert told[-1]["model"] == {"name": "emma", "turns": [1, 2]}
    assert recorder.ended() == ["reasoning"] * 51 + ["workflow"]


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signal can be raised here")
def test_an_interrupt_that_falls_into_rendering_reaches_the_program() -> None:
    class Slow:
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return "rendered"

    manager, recorder = recorded()
    with telemetry_context(manager), pytest.raises(KeyboardInterrupt):
        manager.record_event("told", {"k": Slow()})
        for _ in range(1_000_000):
            pass
        pytest.fail("the interrupt was lost")
    assert len(recorder.events("told")) == 1


def test_rendering_may_record_too() -> None:
    class Telling:
        def __str__(self) -> str:
            manager.record_event("inner", {"k": 1})
            return "outer text"

    manager, recorder = recorded()
    with telemetry_context(manager):
        manager.record_event("outer", {"k": Telling()})
    assert [call.given["kind"] for call in recorder.named("record_event")] == ["inner", "outer"]
    assert recorder.events("outer") == [{"k": "outer text"}]


def test_rendering_may_let_other_threads_record() -> None:
    class Waiting:
        def __str__(self) -> str:
            beside = threading.Thread(target=lambda: others.append(record("beside")))
            beside.start()
            beside.join()
            return "waited"

    others: list[Any] = []
    assert record(Waiting()) == "waited"
    assert others == ["beside"]


def test_collecting_garbage_while_recording() -> None:
    """Finalizers run at any moment, in the midst of a call of ours too."""
    manager, recorder = recorded()

    class Finalized:
        def __init__(self) -> None:
            self.around = self

        def __del__(self) -> None:
            manager.record_event("finalized", {"k": [1]})

    thresholds = gc.get_threshold()
    try:
        with telemetry_context(manager):
            gc.set_threshold(1, 1, 1)
            for number in range(300):
                Finalized()
                manager.start_span("span", None, {"number": number, "nested": {"list": [{}, []]}})
                manager.end_span()
            gc.set_threshold(*thresholds)
            gc.collect()
    finally:
        gc.set_threshold(*thresholds)
    assert len(recorder.events("finalized")) == 300
    assert len(recorder.named("start_span")) == 300
