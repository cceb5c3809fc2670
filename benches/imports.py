"""What `import callboard` costs, in a fresh interpreter."""

from __future__ import annotations

import sys

from machine import in_turn
from table import Figure, Row, Section

MODULES = ("callboard", "opentelemetry.sdk.trace")
MOST_MS = 30
TIMED = "import time; began = time.perf_counter(); import {}; print((time.perf_counter() - began) * 1e3)"


def measure(repeats: int) -> Section:
    runs = in_turn({module: (sys.executable, "-c", TIMED.format(module)) for module in MODULES}, 2 * repeats + 1)
    ours, theirs = (Figure.of(run.said for run in runs[module]) for module in MODULES)
    row = Row("import", f"{ours} ms", f"{theirs} ms", "", f"{MOST_MS} ms", ours.median <= MOST_MS)
    return Section("Python: the import, in a fresh interpreter", MODULES[1], "", [row])
