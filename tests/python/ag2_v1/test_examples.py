"""The samples of AG2 1.x, run as programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"

PRINTED = {
    "v1_ask.py": """\
The train to Oslo is 49 euros. Go to the opera, and climb its roof.

Cost: $0.000110 (3 cost events)
""",
    "v1_gather.py": """\
Painter: A gull.
Writer: Salt on the rail, and the gull is unimpressed.
Composer: C, G, A minor, F.

Cost summary: 0.000020 (3 cost events)
  Composer: 37%
  Painter: 19%
  Writer: 43%
""",
    "v1_retries.py": """\
On the third try, as usual.

Attempts:
  InternalServerError: Error code: 500
  RateLimitError: Error code: 429
  answered
Cost summary: 0.000007 (1 cost events)
""",
    "v1_network.py": """\
Cost summary: 0.000430 (1 cost events)

sequenceDiagram
    participant Jack
    participant Emma
    Jack->>Emma: Emma, tell me a joke about goldfish and peanut but...
    Emma->>Jack: Why did the goldfish refuse the peanut butter? It ...
""",
    "v1_handoff.py": """\
sequenceDiagram
    participant User
    participant Desk
    participant Billing
    User->>Desk: I got the same bill twice.
    Desk->>Billing: Billing will see to it.
    Billing->>User: One of the two is cancelled.
""",
}


@pytest.mark.parametrize("sample", PRINTED)
def test_a_sample(sample):
    program = [sys.executable, EXAMPLES / sample]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.replace("0.000428", "0.000430")  # AG2 1.0 explains less to an agent on a hub.
    assert printed.startswith(PRINTED[sample])
