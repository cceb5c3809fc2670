"""The published sample, run as a program and as a function."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from drawing import shape
from receiver import Receiver, draw

EXAMPLES = Path(__file__).parents[2] / "examples"

DIAGRAM = """\
sequenceDiagram
    participant Jack
    participant Emma
    Jack->>Emma: Emma, tell me a joke about goldfish and peanut but...
    Emma->>Jack: Why did the goldfish refuse the peanut butter? It ...
    Jack->>Emma: That one really stuck with me. FINISH
"""


@pytest.fixture(scope="module")
def run() -> tuple[str, Receiver]:
    """What the program printed, and the receiver with what it exported."""
    with Receiver() as receiver:
        environment = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.endpoint,
            "PYTHONPATH": ":".join(sys.path),
        }
        done = subprocess.run(
            [sys.executable, EXAMPLES / "comedians.py"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, receiver


def test_the_results_read_inside_the_block_are_the_whole_run(run: tuple[str, Receiver]):
    printed, _ = run
    assert printed.endswith(f"\nCost summary: 0.000032 (2 cost events)\n\n{DIAGRAM}")


def test_the_exported_run_is_one_trace_with_one_root(run: tuple[str, Receiver]):
    _, receiver = run
    [root] = [span for span in receiver.spans if not span.parent_id]
    assert (root.name, root.attributes["workflow.id"]) == ("My Workflow", "123")
    assert {span.trace_id for span in receiver.spans} == {root.trace_id}
    assert {span.parent_id for span in receiver.spans} <= {"", *(span.span_id for span in receiver.spans)}
    assert {span.resource["service.name"] for span in receiver.spans} == {"ag2"}


def test_the_trace_reads_as_the_conversation_went(run: tuple[str, Receiver]):
    _, receiver = run
    steps = [line for line in shape(draw(receiver.spans)).splitlines() if "reply_function" not in line]
    assert steps == [
        "My Workflow",
        "└─ chat: Jack → Emma",
        "   ├─ round 1",
        "   │  └─ invoke_agent Emma",
        "   │        └─ chat gpt-4o-mini  47 + 17 tokens, $0.000017",
        "   ├─ round 2",
        "   │  ├─ invoke_agent Jack",
        "   │  │     └─ chat gpt-4o-mini  67 + 8 tokens, $0.000015",
        "   │  └─ invoke_agent Emma",
        "   └─ summary: Jack → Emma",
    ]
