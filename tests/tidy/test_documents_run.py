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


def test_the_readmes_diagram_is_the_samples():
    shown = re.search(r"```mermaid\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "comedians.py"],
        env={**os.environ, "OPENAI_API_KEY": "", "OTEL_SDK_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown and shown[1] in done.stdout, done.stdout + done.stderr
