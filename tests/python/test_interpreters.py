"""Each Python that this machine has, and a subinterpreter in it, where callboard does nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import run_program

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def find_python(version: str) -> str:
    """The interpreter of a version of Python; the test is skipped where this machine has none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (f"python{version}", *map(str, versions.glob(f"{version}.*/bin/python"))):
        found = shutil.which(candidate)
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    pytest.skip(f"Python {version} is not on this machine")


SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

INSIDE = '''
import sys
sys.path[:] = {path!r}
import warnings
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    import callboard
    from callboard import *
    import callboard.context, callboard.provider
    manager = InstrumentationManager()
    providers = CostTrackerProvider(), MermaidDiagramProvider(), OpenTelemetryProvider("no URL")
    for provider in providers:
        manager.register_provider(provider)
    with telemetry_context(manager, "name", {{"k": 1}}) as telemetry:
        span = telemetry.start_span(SpanKind.CHAT, None, {{"a": 1}})
        telemetry.set_attribute(span, "b", 2)
        telemetry.record_event(EventKind.COST, {{"ag2.cost": 1.0}})
        assert telemetry is manager and get_current_telemetry() is current_span() is None
        assert span.attributes == {{"a": 1, "b": 2}}
        telemetry.end_span()
    assert providers[0].total_cost == 0 and not providers[0].cost_history
    assert providers[1].generate_sequence_diagram() == "sequenceDiagram"
    assert manager.flush() and manager.shutdown()
    assert manager.statistics()["recorded"] == 0
    assert manager.deregister_provider(provider) and not manager.deregister_provider(provider)
    try:
        with telemetry_context(manager):
            raise KeyError("the program's own")
    except KeyError:
        pass
assert [str(warning.message) for warning in warned] == [{warning!r}], warned
assert warned[0].category is RuntimeWarning and warned[0].filename == "<string>"
'''.format(path=sys.path, warning=(
    "callboard records nothing in a subinterpreter; record in the main interpreter instead"
))

def run_inside():
    interpreter = interpreters.create()
    run = getattr(interpreters, "exec", None) or interpreters.run_string
    failure = run(interpreter, INSIDE)
    assert failure is None, failure
    interpreters.destroy(interpreter)

def record_here():
    from harness import recorded
    from callboard import telemetry_context
    manager, recorder = recorded()
    with telemetry_context(manager):
        manager.record_event("told")
    assert len(recorder.events("told")) == 1
"""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("first", ["main", "sub"])
def test_in_a_subinterpreter_nothing_happens_and_one_warning_says_so(version: str, first: str) -> None:
    """Whichever interpreter loads callboard first, the main one records."""
    order = {"main": "record_here(); run_inside(); record_here()", "sub": "run_inside(); record_here()"}
    run_program(order[first], python=find_python(version), prelude=SUBINTERPRETER)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_supported_python_records(version: str) -> None:
    told = run_program(
        """
        manager, recorder = recorded()
        costs = CostTrackerProvider()
        manager.register_provider(costs)
        with telemetry_context(manager) as telemetry:
            telemetry.start_span(SpanKind.CHAT)
            telemetry.record_event(EventKind.COST, {"ag2.cost": 0.5})
        loaded = [name for name in sys.modules if name.startswith("callboard.")]
        tell(costs.total_cost, recorder.ended(), loaded)
        """,
        python=find_python(version),
    ).lines()
    [(cost, ended, loaded)] = told
    assert (cost, ended) == (0.5, ["chat", "workflow"])
    assert "callboard._native" in loaded
    assert "callboard._inert" not in loaded
