"""A plugin of pytest: writes what became of each test to a file, as JSON.

tests        by a test's name: `passed`, `failed`, `skipped`, `error`, … and what it says of it
deselected   how many tests the markers left out
recorded     what callboard recorded, where it was there
complaints   what it complained of
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

OUTCOMES = pytest.StashKey["Outcomes"]()


class Outcomes:
    """What became of the tests of a session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tests: dict[str, tuple[str, str]] = {}
        self.deselected = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The first phase in which something happens decides: a test that passed may still fail to tear down."""
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        elif report.failed and report.when != "call":
            outcome = "error"
        if outcome != "passed" or report.when == "call":
            before = self.tests.get(report.nodeid, ("passed", ""))
            if before[0] == "passed":
                self.tests[report.nodeid] = (outcome, _last_words(report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self.tests[report.nodeid] = ("error" if report.failed else "skipped", _last_words(report))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.deselected += len(items)

    def pytest_sessionfinish(self) -> None:
        said = {"tests": self.tests, "deselected": self.deselected, "recorded": {}, "complaints": []}
        around = self.config.pluginmanager.get_plugin("callboard_around")
        if around is not None:
            said["recorded"] = self.config.stash.get(around.RECORDED, {})
            said["complaints"] = self.config.stash.get(around.COMPLAINTS, [])
        Path(self.config.getoption("outcomes")).write_text(json.dumps(said))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", required=True, metavar="FILE", help="where to write what became of the tests")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Outcomes(config))


def _last_words(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason of a skip, or the last line of an error."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash is not None else str(report.longrepr or "")).strip().split("\n")[0]
