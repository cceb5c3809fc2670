"""What watching a chat of AG2's costs: callboard and what AG2 brings itself, each against AG2 bare; classic and 1.x."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import callboard
import sink
from machine import Run, in_turn
from table import Figure, Row, Section

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / "benches/programs"
V1_PYTHON = ROOT / "target/venvs/ag2-1.2.1/bin/python"
SIDES = {
    "bare": "AG2 bare",
    "callboard": "with callboard",
    "tracing": "with AG2's own tracing",
    "logging": "with AG2's runtime_logging",
    "own_callboard": "agents that match triggers themselves, with callboard",
}
WRITES = "logging"
"""Writes to the disk: the kernel's work for that is not told from another program's."""
EXPORTING = ("callboard", "tracing", "own_callboard")
"""They send the sink a span a reply and one a model call, or more."""
LENGTHS = ("7", "39", "199")


class Chats(NamedTuple):
    """A program that chats, and how much longer it may take with callboard."""

    title: str
    program: Sequence[str]
    sides: Sequence[str]
    most_times_bare: float


CLASSIC = Chats(
    "AG2: a chat of two agents whose model answers at once (us a reply)",
    (sys.executable, str(PROGRAMS / "ag2_chat.py")),
    tuple(SIDES),
    1.15,
)
V1 = Chats(
    "AG2 1.x: an agent that is asked again and again, whose model answers at once (us a reply)",
    ("env", f"PYTHONPATH={Path(callboard.__file__).parents[1]}", str(V1_PYTHON), str(PROGRAMS / "ag2_v1_chat.py")),
    ("bare", "callboard", "tracing"),
    1.15,
)


def classic(repeats: int) -> Section:
    return _measure(CLASSIC, repeats)


def v1(repeats: int) -> Section:
    return _measure(V1, repeats)


def _measure(chats: Chats, repeats: int) -> Section:
    with sink.running() as collector:
        programs = {side: (*chats.program, side, collector.endpoint) for side in chats.sides}
        writing = {side: programs.pop(side) for side in chats.sides if side == WRITES}
        runs = in_turn(programs, repeats, collector) | in_turn(writing, repeats, collector, write=True)
    for run in (run for side in EXPORTING for run in runs.get(side, ())):
        if run.received["spans"] < 2 * run.said["model_calls"]:
            sys.exit("spans were lost: the figures compare nothing")
    rows = [_row(chats, length, side, runs[side]) for length in LENGTHS for side in chats.sides]
    changes = {side: _changed(runs["bare"][0], runs[side]) for side in chats.sides}
    if ours := changes["callboard"] | changes.get("own_callboard", set()):
        sys.exit(f"with callboard the chat does not return what it returns without: {ours}")
    notes = [
        f"The chat {SIDES[side]} does not return what it returns without; it differs in: {', '.join(sorted(changed))}."
        for side, changed in changes.items()
        if changed
    ]
    return Section(chats.title, "CPU", "round by round", rows, notes, ours="caller")


def _row(chats: Chats, length: str, side: str, runs: list[Run]) -> Row:
    caller, cpu = (
        Figure.of(statistics.median(run.said[length][what]) for run in runs) for what in ("caller_us", "cpu_us")
    )
    times, low, high = Figure.of(_times_bare(run, length) for run in runs)
    row = Row(f"{length} replies, {SIDES[side]}", caller, cpu, f"{times:.2f}x bare ({low:.2f}-{high:.2f})")
    if side != "callboard":
        return row
    return row._replace(target=f"at most {chats.most_times_bare}x", reached=times <= chats.most_times_bare)


def _times_bare(run: Run, length: str) -> float:
    """How many times bare the caller's time is, round by round."""
    rounds = zip(run.said[length]["caller_us"], run.said[length]["bare_us"], strict=True)
    return statistics.median(watched / bare for watched, bare in rounds)


def _changed(bare: Run, runs: list[Run]) -> set[str]:
    """Names what of a chat's result is another than without telemetry, in any run and at any length."""
    return {
        name
        for run in runs
        for length in LENGTHS
        for name, value in _returned(bare, length).items()
        if _returned(run, length)[name] != value
    }


def _returned(run: Run, length: str) -> dict[str, Any]:
    returned: dict[str, Any] = run.said[length]["returned"]
    return returned
