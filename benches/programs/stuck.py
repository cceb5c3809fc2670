"""A program that records, by callboard, far more than a provider takes, and says what that took: one line of JSON.

peak_mb      how much its memory grew at the most
longest_ms   the longest that recording one span held it up
end_ms       how long the end of the chat held it up
dropped      how many of its records the queue had no room for
recorded     how many there were
"""

from __future__ import annotations

import argparse
import json
import os
import re
import threading
import time
from pathlib import Path

from callboard import EventKind, InstrumentationManager, OpenTelemetryProvider, SpanKind

MB = 2**20
SPANS = 150_000
TEXT = "Why did the goldfish refuse the peanut butter? It was already in enough sticky situations. " * 4


class Stuck:
    """A provider in Python that never comes back from its first call."""

    def start_trace(self, **_: object) -> None:
        threading.Event().wait()

    start_span = set_span_attribute = end_span = record_event = convert_attribute_value = start_trace


def peak_bytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("provider", choices=("opentelemetry", "python", "none"))
    parser.add_argument("endpoint", help="of a collector that never answers")
    given = parser.parse_args()

    manager = InstrumentationManager()
    if given.provider == "opentelemetry":
        manager.register_provider(OpenTelemetryProvider(given.endpoint))
    elif given.provider == "python":
        manager.register_provider(Stuck())
    manager.start_trace("bench")
    chat = manager.start_span(SpanKind.CHAT)
    before, longest = peak_bytes(), 0
    for number in range(SPANS):
        began = time.perf_counter_ns()
        manager.start_span(SpanKind.REPLY, attributes={"ag2.round": number})
        manager.record_event(EventKind.AGENT_SEND_MSG, {"ag2.message": f"{number}: {TEXT}"})
        manager.end_span()
        longest = max(longest, time.perf_counter_ns() - began)
    grown = peak_bytes() - before
    began = time.perf_counter_ns()
    chat.end()
    end = time.perf_counter_ns() - began
    counted = manager.statistics()
    said = {
        "peak_mb": grown / MB,
        "longest_ms": longest / 1e6,
        "end_ms": end / 1e6,
        "dropped": counted["dropped"] + sum(provider["dropped"] for provider in counted["providers"]),
        "recorded": counted["recorded"],
    }
    print(json.dumps(said), flush=True)
    # What could be said is said; the providers have nothing more to tell.
    os._exit(0)


if __name__ == "__main__":
    main()
