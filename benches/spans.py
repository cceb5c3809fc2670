"""What a span costs: the caller's time and the process's CPU, in Python and in Rust.

Both sides record the same span and export it over OTLP/HTTP to the same sink. Each run is a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import sink
from machine import Run, in_turn
from table import Figure, Row, Section, times_less

HERE = Path(__file__).parent
PYTHON = (sys.executable, str(HERE / "programs/spans.py"))
RUST = HERE.parent / "target/benches/release/callboard-benches"
TIMES_AS_OFTEN = 3
"""A run in Rust takes so little time that the machine is in one state all the while, and in another the next time."""

TIGHT_SPANS = 20_000
PACED_SPANS = 4_000
LOOPS = {
    "tight": ("in a tight loop", TIGHT_SPANS),
    "at-work": ("one every 200 us, at work in between", PACED_SPANS),
    "asleep": ("one every 200 us, asleep in between", PACED_SPANS),
}


def in_python(repeats: int) -> Section:
    rows: list[Row] = []
    notes: list[str] = []
    with sink.running() as collector:
        for loop, (name, count) in LOOPS.items():
            ours, theirs = _in_turn(PYTHON, loop, count, repeats, collector)
            rows.append(times_less(f"caller, {name}", _figure(ours, "caller_us"), _figure(theirs, "caller_us"), 25))
            rows.append(times_less(f"CPU, {name}", _figure(ours, "cpu_us"), _figure(theirs, "cpu_us"), 20))
        notes.append(_the_calls_alone(repeats, collector))
        notes.append(_default_queue(collector))
    title = "Python: a span of 4 attributes, 2 set later and 1 event, exported over OTLP/HTTP (us a span)"
    return Section(title, "opentelemetry-sdk", "ours is", rows, notes)


def in_rust(repeats: int) -> Section:
    rows = []
    with sink.running() as collector:
        for loop, (name, count) in LOOPS.items():
            ours, theirs = _in_turn((str(RUST),), loop, count, TIMES_AS_OFTEN * repeats, collector)
            rows.append(times_less(f"caller, {name}", _figure(ours, "caller_us"), _figure(theirs, "caller_us"), 3))
    title = "Rust: the same span (us a span)"
    return Section(title, "opentelemetry_sdk", "ours is", rows)


def _in_turn(
    program: Sequence[str], loop: str, count: int, repeats: int, collector: sink.Sink
) -> tuple[list[Run], list[Run]]:
    sides = ("callboard", "opentelemetry")
    programs = {side: (*program, side, loop, str(count), collector.endpoint) for side in sides}
    runs = in_turn(programs, repeats, collector)
    for run in (run for side in sides for run in runs[side]):
        lost = count - run.received["events"]
        if lost > 0:
            sys.exit(f"{lost} of {count} spans were lost: the figures compare nothing")
    return runs["callboard"], runs["opentelemetry"]


def _the_calls_alone(repeats: int, collector: sink.Sink) -> str:
    """What the same calls take of the caller's time where they do nothing: nothing called from Python falls below."""
    taken = []
    for loop, (name, count) in LOOPS.items():
        programs = {"nothing": (*PYTHON, "nothing", loop, str(count), collector.endpoint)}
        runs = in_turn(programs, repeats, collector)["nothing"]
        taken.append(f"{_figure(runs, 'caller_us').median:.2f} {name}")
    return f"callboard's calls themselves, of methods that do nothing, take {'; '.join(taken)}."


def _default_queue(collector: sink.Sink) -> str:
    """What becomes of a tight loop's spans where the SDK's queue is left as it is."""
    side = "opentelemetry_default"
    program = {side: (*PYTHON, side, "tight", str(TIGHT_SPANS), collector.endpoint)}
    (run,) = in_turn(program, 1, collector)[side]
    lost = TIGHT_SPANS - min(TIGHT_SPANS, run.received["events"])
    return (
        f"opentelemetry-sdk has room for every span here. With the queue that it comes with it loses {lost:,} of "
        f"{TIGHT_SPANS:,} in a tight loop."
    )


def _figure(runs: list[Run], name: str) -> Figure:
    return Figure.of(run.said[name] for run in runs)
