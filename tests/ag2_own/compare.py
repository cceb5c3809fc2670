"""Runs AG2's own tests twice, without callboard and with it, and says which come out otherwise: `make ag2-tests`.

They run against the installed AG2, classic or 1.x, in a folder of their own, which is removed afterwards. Exits with 1 where a test
differs, and where callboard complained of something in itself. A test that fails on both sides is AG2's own affair.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CLASSIC = (
    "test/agentchat",
    "test/agents/experimental/reasoning",
    "test/io",
    "test/oai/test_client.py",
    "test/oai/test_client_stream.py",
    "test/opentelemetry",
    "test/tools",
)
"""What of AG2's tests is about what callboard watches."""
V1 = ("test/beta",)
"""The tests of `autogen.beta`, which became AG2 1.x."""
V1_NAMES = (("from autogen import beta", "import ag2 as beta"), ("autogen.beta", "ag2"))
V1_CONFTEST = """
from unittest.mock import AsyncMock, MagicMock
import pytest

@pytest.fixture
def mock():
    return MagicMock()

@pytest.fixture
def async_mock():
    return AsyncMock()
"""
"""What those tests take of the fixtures of all, which import `autogen`."""
ELSEWHERE = ("openai", "gemini", "anthropic", "deepseek", "ollama", "docker", "integration", "aux_neg_flag")
"""AG2's markers of tests that ask a real service or need another program."""
PLUGINS = {"without": (), "with": ("-p", "callboard_around")}
MOST_OF_A_REASON = 160

Outcomes = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="AG2's repository, at the release that is installed")
    checkout = parser.parse_args().checkout

    with tempfile.TemporaryDirectory() as folder:
        without, around = (run(checkout, Path(folder) / side, *plugins) for side, plugins in PLUGINS.items())
    differences = list(differing(without["tests"], around["tests"]))
    tell(without, around)
    if not any(outcome == "passed" for outcome, _ in without["tests"].values()) or not around["recorded"].get("spans"):
        sys.exit("nothing was compared: either no test passed without callboard, or it recorded nothing")
    for text in differences:
        print(f"differs: {text}")
    for text in around["complaints"]:
        print(f"callboard complained: {text}")
    if differences or around["complaints"]:
        sys.exit(f"{len(differences)} tests differ, {len(around['complaints'])} complaints of callboard")
    print("every test comes out the same with callboard as without")


def run(checkout: Path, folder: Path, *plugins: str) -> Outcomes:
    """One run of the selection, in a copy: some of the tests leave files behind."""
    shutil.copytree(checkout / "test", folder / "test")
    shutil.copy(checkout / "pyproject.toml", folder)
    is_v1 = find_spec("ag2") is not None
    if is_v1:
        rename(folder / "test")
    written = folder / "outcomes.json"
    selection = ("-m", f"not ({' or '.join(ELSEWHERE)})", *(V1 if is_v1 else CLASSIC))
    own = ("-p", "no:cacheprovider", "-p", "outcomes", "--outcomes", str(written), *plugins)
    quietly = ("--quiet", "--tb=short", "--continue-on-collection-errors")
    command = (sys.executable, "-m", "pytest", *quietly, *own, *selection)
    paths = (str(Path(__file__).parent.resolve()), *filter(None, [os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if not written.exists():
        sys.exit(f"AG2's tests did not run:\n{finished.stdout}{finished.stderr}")
    outcomes: Outcomes = json.loads(written.read_text())
    return outcomes


def rename(tests: Path) -> None:
    """Have the tests of `autogen.beta` import AG2 1.x."""
    for file in tests.joinpath("beta").rglob("*.py"):
        text = file.read_text()
        for before, after in V1_NAMES:
            text = text.replace(before, after)
        file.write_text(text)
    tests.joinpath("conftest.py").write_text(V1_CONFTEST)


def differing(without: dict[str, list[str]], around: dict[str, list[str]]) -> list[str]:
    """Names each test that comes out otherwise, and how."""
    missing = ["not run", ""]
    return [
        f"{name}: {before[0]} without callboard, {after[0]} with it: {after[1] or before[1]}"
        for name in sorted({*without, *around})
        if (before := without.get(name, missing))[0] != (after := around.get(name, missing))[0]
    ]


def tell(without: Outcomes, around: Outcomes) -> None:
    """Both sides' counts, and what could not be tried here."""
    for side, outcomes in (("without callboard", without), ("with callboard", around)):
        counts = Counter(outcome for outcome, _ in outcomes["tests"].values())
        print(f"{side}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(counts.items()))}")
    print(f"callboard recorded {', '.join(f'{count} {what}' for what, count in around['recorded'].items())}")
    print(f"not tried: {without['deselected']} tests, marked as asking a real service or another program")
    untried = Counter(
        (name.split("::")[0], outcome, reason)
        for name, (outcome, reason) in without["tests"].items()
        if outcome != "passed"
    )
    for (file, outcome, reason), count in sorted(untried.items()):
        print(f"{outcome} without callboard: {count} of {file}: {reason[:MOST_OF_A_REASON]}")


if __name__ == "__main__":
    main()
