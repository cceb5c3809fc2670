"""A program that holds conversations, whose history goes to the model whole at every call, and says what recording took.

    time     one line of JSON: by the length of the history, what recording a call took of the caller's time, in us
    memory   one line of JSON: by the number of calls, the process's memory in MB, with every span still held

A call adds two messages. Nothing is exported, so that what is looked at is recording alone. opentelemetry-sdk has no
value for a history, so there it is JSON text, as instrumentations of model clients have it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LENGTHS = (10, 100, 1000)
"""Where the time of a call is looked at: the two calls before, the one at it, and the two after."""
CONVERSATIONS = 15
CALLS = (100, 200, 400, 800)
"""Where memory is looked at."""
TEXT = "Why did the goldfish refuse the peanut butter? It was already in enough sticky situations. " * 5

Messages = list[dict[str, str]]
Record = Callable[[int, Messages], object]
"""Records a model call of one conversation; gives the span."""


def callboard() -> Record:
    from callboard import CostTrackerProvider, InstrumentationManager, SpanKind

    manager = InstrumentationManager()
    manager.register_provider(CostTrackerProvider())
    run = manager.start_trace("bench")
    llm_call = SpanKind.LLM_CALL

    def record(conversation: int, messages: Messages) -> object:
        span = run.start_child(llm_call, {"ag2.messages": run.messages(conversation, messages)})
        span.end()
        return span

    return record


def opentelemetry() -> Record:
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("bench")

    def record(conversation: int, messages: Messages) -> object:
        span = tracer.start_span("llm_call", attributes={"ag2.messages": json.dumps(messages)})
        span.end()
        return span

    return record


def nothing() -> Record:
    """The program without telemetry."""
    return lambda conversation, messages: None


SIDES = {side.__name__: side for side in (callboard, opentelemetry, nothing)}


def grow(messages: Messages) -> None:
    messages.append({"role": "user", "content": f"{len(messages)}: {TEXT}"})
    messages.append({"role": "assistant", "content": f"{len(messages)}: {TEXT}"})


def times(record: Record) -> dict[int, float]:
    """The median over conversations."""
    taken: dict[int, list[int]] = {length: [] for length in LENGTHS}
    looked_at = {length + 2 * step: length for length in LENGTHS for step in range(-2, 3)}
    for conversation in range(CONVERSATIONS):
        messages: Messages = []
        while len(messages) < max(looked_at):
            grow(messages)
            given = list(messages)
            began = time.perf_counter_ns()
            record(conversation, given)
            spent = time.perf_counter_ns() - began
            if len(messages) in looked_at:
                taken[looked_at[len(messages)]].append(spent)
    return {length: statistics.median(spent) / 1e3 for length, spent in taken.items()}


def memory(record: Record) -> dict[int, float]:
    held: list[Any] = []
    messages: Messages = []
    resident = {}
    before = resident_bytes()
    for call in range(1, max(CALLS) + 1):
        grow(messages)
        held.append(record(0, list(messages)))
        if call in CALLS:
            resident[call] = (resident_bytes() - before) / 2**20
    return resident


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("what", choices=("time", "memory"))
    given = parser.parse_args()
    record = SIDES[given.side]()
    print(json.dumps(times(record) if given.what == "time" else memory(record)))


if __name__ == "__main__":
    main()
