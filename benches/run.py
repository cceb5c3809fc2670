"""What callboard costs, beside the OpenTelemetry SDKs, measured side by side in one run: `make bench`.

Prints one table; docs/benchmarks.md says what is measured and how. Nothing here is a test: a target that is missed is
told, and the exit status stays 0.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ag2
import conversations
import imports
import machine
import spans
import stuck
from table import Section, render

PARTS: dict[str, Callable[[int], Section]] = {
    "python": spans.in_python,
    "rust": spans.in_rust,
    "conversation": conversations.measure,
    "stuck": stuck.measure,
    "import": imports.measure,
    "ag2": ag2.classic,
    "ag2_v1": ag2.v1,
}
"""Each takes how many times to measure. A new part is a module with such a function, and a line here."""

BESIDES = {"rust": spans.RUST, "ag2_v1": ag2.V1_PYTHON}
"""What a part runs that this Python does not have."""

REPEATS = 7

RELEASE = "target/stamps/native-release"
"""A chore that builds what `pip install .` does; while that is what was built last, so is a file of that name."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="how often each is measured (%(default)s)")
    given = parser.parse_args()
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    if not (Path(__file__).parent.parent / RELEASE).exists():
        sys.exit(f"callboard is not built for release: `make {RELEASE}` does that, and so does `make bench`")
    parts = given.parts or list(PARTS)
    for part in parts:
        if part in BESIDES and not BESIDES[part].exists():
            sys.exit(f"no {BESIDES[part]}, which the part {part} runs: `make bench` puts it there")

    print(machine.describe())
    print(f"Medians of {given.repeats} runs, the lowest and the highest in brackets.\n", flush=True)
    began, sections = time.monotonic(), []
    for part in parts:
        sections.append(PARTS[part](given.repeats))
        print(render(sections[-1]), flush=True)
    verdicts = [row.reached for section in sections for row in section.rows if row.reached is not None]
    print(f"{sum(verdicts)} of {len(verdicts)} targets reached, in {time.monotonic() - began:.0f} s.")
    print(machine.disturbance())


if __name__ == "__main__":
    main()
