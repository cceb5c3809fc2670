"""What the Python package's tests share: a provider that keeps its calls, programs in their own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import callboard
from callboard import EventKind, InstrumentationManager, SpanKind, TelemetryProvider

PATIENCE_SECONDS = 30.0
"""How long a condition may take before a test gives up on it; far beyond what it ever takes."""


class Call(NamedTuple):
    """One call of a provider's method."""

    method: str
    context: Any
    """The SpanContext that the call is about; None for the two that begin one."""
    given: dict[str, Any]
    """The other arguments, by the names of the proposal."""


class Recorder(TelemetryProvider):
    """A provider as users wrote it against the proposal: six methods, no more. It keeps every call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def start_trace(self, name, core_span_id, attributes=None):
        self.calls.append(Call("start_trace", None, {"name": name, "id": core_span_id, "attributes": attributes}))

    def start_span(self, kind, core_span_id, parent_context=None, attributes=None):
        given = {"kind": kind, "id": core_span_id, "parent": parent_context, "attributes": attributes}
        self.calls.append(Call("start_span", None, given))

    def set_span_attribute(self, context, key, value):
        self.calls.append(Call("set_span_attribute", context, {"key": key, "value": value}))

    def end_span(self, context):
        self.calls.append(Call("end_span", context, {}))

    def record_event(self, span_context, event_kind, attributes=None):
        given = {"kind": event_kind, "attributes": attributes}
        self.calls.append(Call("record_event", span_context, given))

    def convert_attribute_value(self, value):
        return value

    def named(self, method: str) -> list[Call]:
        """The calls of one method, in order."""
        return [call for call in self.calls if call.method == method]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The attributes of the events of a kind, in order."""
        return [call.given["attributes"] for call in self.named("record_event") if call.given["kind"] == kind]

    def last_attributes(self) -> dict[str, Any]:
        """The attributes of the event recorded last."""
        return self.named("record_event")[-1].given["attributes"]

    def parents(self) -> dict[str, str | None]:
        """For each span begun, by its kind, the kind of its parent; None for the root."""
        found: dict[str, str | None] = {}
        for call in self.calls:
            if call.method == "start_trace":
                found["workflow"] = None
            elif call.method == "start_span":
                kind, parent = name_of(call.given["kind"]), call.given["parent"]
                assert kind not in found, f"two spans of kind {kind}"
                found[kind] = name_of(parent.kind)
        return found

    def set_on(self, kind: str) -> dict[str, Any]:
        """What was set on the spans of a kind after their start."""
        return {
            call.given["key"]: call.given["value"]
            for call in self.named("set_span_attribute")
            if call.context.kind == kind
        }

    def ended(self) -> list[str]:
        """The kinds of the spans that ended, in order."""
        return [name_of(call.context.kind) for call in self.named("end_span")]


class Diary(Recorder):
    """Writes each call into a file as well, a line of JSON, whatever process makes it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def start_trace(self, name, core_span_id, attributes=None):
        super().start_trace(name, core_span_id, attributes)
        self.write("start_trace", id=core_span_id, name=name)

    def start_span(self, kind, core_span_id, parent_context=None, attributes=None):
        super().start_span(kind, core_span_id, parent_context, attributes)
        self.write("start_span", id=core_span_id, kind=name_of(kind))

    def set_span_attribute(self, context, key, value):
        super().set_span_attribute(context, key, value)
        self.write("set_span_attribute", id=context.core_span_id, key=key, value=value)

    def end_span(self, context):
        super().end_span(context)
        self.write("end_span", id=context.core_span_id, kind=name_of(context.kind))

    def record_event(self, span_context, event_kind, attributes=None):
        super().record_event(span_context, event_kind, attributes)
        self.write("record_event", id=span_context.core_span_id, kind=name_of(event_kind), attributes=attributes)

    def write(self, call: str, **given: Any) -> None:
        line = json.dumps({"pid": os.getpid(), "call": call, **given}, default=str)
        os.write(self.file, line.encode() + b"\n")


def read_diary(path: Path, call: str | None = None) -> list[dict[str, Any]]:
    """What the diary's lines say: those of one call, or all."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if call in (None, line["call"])]


def name_of(kind: SpanKind | EventKind | str) -> str:
    """A kind as text."""
    return kind.value if isinstance(kind, Enum) else kind


def recorded() -> tuple[InstrumentationManager, Recorder]:
    """A manager, and a provider registered with it."""
    manager, recorder = InstrumentationManager(), Recorder()
    manager.register_provider(recorder)
    return manager, recorder


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.002)


class Outcome(NamedTuple):
    """How a program ended."""

    returncode: int
    output: str
    errors: str

    def lines(self) -> list[Any]:
        """What the program printed, each line being JSON."""
        return [json.loads(line) for line in self.output.splitlines()]


PRELUDE = """
import json, logging, os, sys, threading
from callboard import *
from callboard import _load
from harness import Diary, Recorder, recorded, wait_until
def tell(*said):
    os.write(1, (json.dumps(said[0] if len(said) == 1 else said, default=str) + "\\n").encode())
"""


def run_program(
    source: str,
    *arguments: str,
    python: str = sys.executable,
    prelude: str = PRELUDE,
    expected: int | None = 0,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Runs a program in its own process, after `prelude`; it must end with the status `expected`."""
    paths = [str(Path(callboard.__file__).parents[1]), str(Path(__file__).parent)]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(environment or {})}
    ended = subprocess.run(
        [python, "-X", "faulthandler", "-c", prelude + textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_SECONDS,
        env=given,
        check=False,
    )
    outcome = Outcome(ended.returncode, ended.stdout, ended.stderr)
    assert expected is None or outcome.returncode == expected, f"{outcome.returncode}: {outcome.errors}"
    return outcome
