"""What a provider that never comes back costs: memory up to the configured bound, and none of the caller's time."""

from __future__ import annotations

import sys
from pathlib import Path

import sink
from machine import Run, in_turn
from table import Figure, Row, Section

PROGRAM = (sys.executable, str(Path(__file__).parent / "programs/stuck.py"))
PROVIDERS = {
    "opentelemetry": ("an exporter whose collector never answers", 64 + 32),
    "python": ("a provider in Python that never returns", 64),
}
"""What is stuck, and the bound in MB: the manager's queue, and the exporter's own."""
LONGEST_MS = 20
"""A wait for a provider would show: none gives up sooner than after half a second."""


def measure(repeats: int) -> Section:
    with sink.running("--stuck") as collector:
        programs = {provider: (*PROGRAM, provider, collector.endpoint) for provider in (*PROVIDERS, "none")}
        runs = in_turn(programs, repeats, collector)
    rows = [row for provider in PROVIDERS for row in _rows(provider, runs)]
    said = runs["python"][0].said
    note = (
        f"150,000 spans of about 0.5 kB each; of {said['recorded']:,} records {said['dropped']:,} were dropped and "
        f"counted. The end of a chat waits for a provider in Python once: {said['end_ms']:.0f} ms."
    )
    return Section("Python: a stuck provider", "(none stuck)", "", rows, [note])


def _rows(provider: str, runs: dict[str, list[Run]]) -> list[Row]:
    name, bound = PROVIDERS[provider]
    (peak, no_peak), (longest, no_longest) = (
        [Figure.of(run.said[what] for run in runs[side]) for side in (provider, "none")]
        for what in ("peak_mb", "longest_ms")
    )
    return [
        Row(f"memory, {name}", f"{peak} MB", f"{no_peak} MB", "", f"{bound} MB", peak.high <= bound),
        Row(
            f"longest wait, {name}",
            f"{longest} ms",
            f"{no_longest} ms",
            "",
            f"{LONGEST_MS} ms",
            longest.high <= LONGEST_MS,
        ),
    ]
