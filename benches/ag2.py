"""What watching a chat of AG2's costs: callboard, AG2's own tracing and its `runtime_logging`, each against AG2 bare."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import sink
from machine import Run, in_turn
from table import Figure, Row, Section

PROGRAM = (sys.executable, str(Path(__file__).parent / "programs/ag2_chat.py"))
SIDES = {
    "bare": "AG2 bare",
    "callboard": "with callboard",
    "tracing": "with AG2's own tracing",
    "logging": "with AG2's runtime_logging",
}
EXPORTING = ("callboard", "tracing")
"""They send the sink a span a reply and one a model call, or more."""
LENGTHS = ("7", "39", "199")
MOST_TIMES_BARE = 1.15


def measure(repeats: int) -> Section:
    with sink.running() as collector:
        programs = {side: (*PROGRAM, side, collector.endpoint) for side in SIDES}
        runs = in_turn(programs, repeats, collector, writing=("logging",))
    for side in EXPORTING:
        for run in runs[side]:
            if run.received["spans"] < 2 * run.said["model_calls"]:
                sys.exit(f"spans {SIDES[side]} were lost: the figures compare nothing")
    rows = [_row(length, side, runs) for length in LENGTHS for side in SIDES]
    changes = {side: _changed(runs["bare"][0], runs[side]) for side in SIDES}
    if changes["callboard"]:
        sys.exit(f"with callboard the chat does not return what it returns without: {changes['callboard']}")
    notes = [
        f"The chat {SIDES[side]} does not return what it returns without; it differs in: {', '.join(sorted(changed))}."
        for side, changed in changes.items()
        if changed
    ]
    title = "AG2: a chat of two agents whose model answers at once (us a reply)"
    return Section(title, "CPU", "caller is", rows, notes, ours="caller")


def _row(length: str, side: str, runs: dict[str, list[Run]]) -> Row:
    caller, cpu, bare = (
        Figure.of(run.said[length][what] for run in runs[of])
        for what, of in (("caller_us", side), ("cpu_us", side), ("caller_us", "bare"))
    )
    times = caller.median / bare.median
    row = Row(f"{length} replies, {SIDES[side]}", caller, cpu, "" if side == "bare" else f"{times:.2f}x bare")
    if side != "callboard":
        return row
    return row._replace(target=f"at most {MOST_TIMES_BARE}x", reached=times <= MOST_TIMES_BARE)


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
