"""The Python in the documents does what they say: each block runs, and prints what its comments announce."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from document_rules import FENCE

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from comedians import SCRIPT  # noqa: E402 (found by the line above)
from model_server import ModelServer  # noqa: E402 (as before)
from receiver import Receiver  # noqa: E402 (as before)

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
COLLECTOR = "http://localhost:4318/v1/traces"
ANNOUNCED = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


def blocks() -> list[pytest.ParameterSet]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        for block in FENCE.finditer(text):
            if block["language"] == "python":
                line = text.count("\n", 0, block.start()) + 1
                found.append(pytest.param(textwrap.dedent(block["body"]), id=f"{document.name}:{line}"))
    return found


@pytest.mark.parametrize("code", blocks())
def test_a_block_runs_and_prints_what_it_announces(code: str):
    with ModelServer(SCRIPT) as model, Receiver() as receiver:
        done = subprocess.run(
            [sys.executable, "-c", code.replace(COLLECTOR, receiver.endpoint)],
            env={**os.environ, "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": model.base_url},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    printed = iter(done.stdout.splitlines())
    assert all(announced in printed for announced in ANNOUNCED.findall(code)), done.stdout
    if "OpenTelemetryProvider" in code and "telemetry_context" in code:
        assert receiver.spans, f"nothing came to the collector\n{done.stderr}"


def test_the_readme_shows_what_the_demo_shows():
    examples = ROOT / "examples"
    done = subprocess.run(
        [sys.executable, examples / "receiver.py", sys.executable, examples / "comedians.py"],
        env={**os.environ, "OPENAI_API_KEY": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    readme = (ROOT / "README.md").read_text()
    [diagram] = re.findall(r"```mermaid\n(.*?)\n```", readme, re.DOTALL)
    [tree] = re.findall(r"```text\n(My Workflow .*?)\n```", readme, re.DOTALL)
    cost = re.findall(r"^Cost summary: .*$", readme, re.MULTILINE)
    for shown in (diagram, cost[0], tree):
        assert _without_times(shown) in _without_times(done.stdout), done.stdout + done.stderr


def _without_times(shown: str) -> str:
    return re.sub(r" +\d+\.\d\d ms", " … ms", shown)
