"""What a long conversation costs, whose history goes to the model whole at every call: time, and memory held."""

from __future__ import annotations

import sys
from pathlib import Path

from machine import Run, in_turn
from table import Figure, Row, Section

PROGRAM = (sys.executable, str(Path(__file__).parent / "programs/conversation.py"))
LENGTHS = ("10", "100", "1000")
CALLS = ("100", "200", "400", "800")
MOST_US = 20
"""What a call with the longest conversation may take: each message of its list is looked at."""
MOST_TIMES_MORE = 3
"""Twice as many calls hold twice as much where every message is held once, and four times as much where every call holds
the whole conversation."""


def measure(repeats: int) -> Section:
    sides = ("callboard", "opentelemetry")
    times = in_turn({side: (*PROGRAM, side, "time") for side in sides}, repeats)
    held = {
        side: runs[0].said
        for side, runs in in_turn({side: (*PROGRAM, side, "memory") for side in (*sides, "nothing")}, 1).items()
    }
    rows = [_time(length, times) for length in LENGTHS]
    rows += [_memory(held, *span) for span in zip(CALLS, CALLS[1:], CALLS[2:], strict=False)]
    title = (
        "Python: a model call with the whole conversation (us of the caller's time), and the memory of many such calls"
    )
    note = f"The program itself holds {held['nothing'][CALLS[-1]]:.1f} MB after {CALLS[-1]} calls, counted in both."
    return Section(title, "opentelemetry-sdk", "ours grows by", rows, [note])


def _time(length: str, runs: dict[str, list[Run]]) -> Row:
    ours, theirs = (Figure.of(run.said[length] for run in runs[side]) for side in ("callboard", "opentelemetry"))
    shortest = Figure.of(run.said[LENGTHS[0]] for run in runs["callboard"])
    times = ours.median / shortest.median
    row = Row(f"time of a call with {length} messages", ours, theirs, f"{times:.2f}x")
    if length != LENGTHS[-1]:
        return row
    return row._replace(target=f"at most {MOST_US} us", reached=ours.median <= MOST_US)


def _memory(held: dict[str, dict[str, float]], before: str, first: str, last: str) -> Row:
    """The calls up to `last` are twice as many as those between `before` and `first`."""
    added = {side: held[side][last] - held[side][first] for side in held}
    times = added["callboard"] / (held["callboard"][first] - held["callboard"][before])
    name = f"memory of the calls from {int(first) + 1} to {last}"
    row = Row(name, f"{added['callboard']:.1f} MB", f"{added['opentelemetry']:.1f} MB", f"{times:.2f}x")
    if last != CALLS[-1]:
        return row
    return row._replace(target=f"{MOST_TIMES_MORE}x", reached=times <= MOST_TIMES_MORE)
