"""The house rules, applied to this repository. What each asks for stands in its complaint."""

from __future__ import annotations

from pathlib import Path

import code_rules
import document_rules
import pytest
from sources import repository_files

ROOT = Path(__file__).parents[2]
RULES = (*code_rules.RULES, *document_rules.RULES)


@pytest.fixture(scope="module")
def files():
    return repository_files(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_rule(rule, files):
    complaints = list(rule(files))
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def test_the_rules_look_at_the_whole_repository(files):
    assert {
        "Cargo.toml",
        "README.md",
        "crates/core/src/lib.rs",
        "python/callboard/__init__.py",
    } <= files.keys()
    assert not any(path.startswith(("target/", ".venv/")) for path in files)
