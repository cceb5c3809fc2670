"""The shorter samples, each run as a program: they end well, and print what their comments promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

REASONING = """
Answer: 3 hens and 2 rabbits.
Cost summary: 0.000339 (5 cost events)

sequenceDiagram
    participant Farmer
    participant Thinker
    participant tot_thinker
    participant tot_grader
    Farmer->>Thinker: Hens and rabbits: 5 heads, 14 legs. How many of ea...
    Thinker->>tot_thinker: #35; Question: Content: Hens and rabbits: 5 heads, 14...
    tot_thinker->>Thinker: REFLECTION: Nothing has been tried yet. **Possible...
    Thinker->>tot_grader: Rate: #35; Question: Content: Hens and rabbits: 5 hea...
    tot_grader->>Thinker: 9, it leads to an equation.
    Thinker->>tot_grader: Rate: #35; Question: Content: Hens and rabbits: 5 hea...
    tot_grader->>Thinker: 2, it leads nowhere.
    Thinker->>tot_thinker: #35; Question: Content: Hens and rabbits: 5 heads, 14...
    tot_thinker->>Thinker: REFLECTION: That settles it. **Possible Options:**...
    Thinker->>Thinker: Given a list of thinking processes, you have to pr...
    Thinker->>Thinker: 3 hens and 2 rabbits.
    Thinker->>Farmer: 3 hens and 2 rabbits.
"""

CODE_EXECUTION = """
Answer: It is 5050. FINISH
Cost summary: 0.000069 (3 cost events)

sequenceDiagram
    participant Runner
    participant Writer
    Runner->>Writer: What do the numbers from 1 to 100 add up to?
    Writer->>Runner: I add them up: ```python print(sum(range(1, 101)) ...
    Runner->>Writer: exitcode: 1 (execution failed) Code output:   File...
    Writer->>Runner: A bracket was missing: ```python print(sum(range(1...
    Runner->>Writer: exitcode: 0 (execution succeeded) Code output: 505...
    Writer->>Runner: It is 5050. FINISH
"""


@pytest.mark.parametrize(("sample", "printed"), [("reasoning", REASONING), ("code_execution", CODE_EXECUTION)])
def test_a_sample(sample: str, printed: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{sample}.py"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(printed)
    assert list(tmp_path.iterdir()) == []
