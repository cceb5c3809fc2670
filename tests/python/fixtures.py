"""What the tests of the hooks of both AG2s share: a run that is recorded, and the model server that it asks.

Their `conftest.py` take it over by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import dedent
from typing import Any

import callboard
import pytest
from model_server import ModelServer, Rule, Step
from recorder import Recorder


@pytest.fixture
def manager() -> callboard.InstrumentationManager:
    return callboard.InstrumentationManager()


@pytest.fixture
def recorder(manager: callboard.InstrumentationManager) -> Recorder:
    recorder = Recorder(manager)
    manager.register_provider(recorder)
    return recorder


@pytest.fixture
def traced(manager: callboard.InstrumentationManager, recorder: Recorder) -> Callable[[], Any]:
    """`with traced():` is one run, which the recorder keeps."""
    return lambda: callboard.telemetry_context(manager, "Test")


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """Starts a scripted model server that lasts as long as the test."""
    servers: list[ModelServer] = []

    def start(*script: Step | Rule) -> ModelServer:
        server = ModelServer(list(script)).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def served(*servers: ModelServer) -> tuple[int, int]:
    """The tokens that these servers answered with, input and output."""
    return sum(server.input_tokens for server in servers), sum(server.output_tokens for server in servers)


@contextmanager
def untraced() -> Iterator[None]:
    """Stands where `traced()` does, for the same program without callboard."""
    yield


@pytest.fixture
def costs(manager: callboard.InstrumentationManager) -> callboard.CostTrackerProvider:
    """What the test's runs cost."""
    costs = callboard.CostTrackerProvider()
    manager.register_provider(costs)
    return costs


@pytest.fixture(autouse=True)
def sums(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does, its runs cost what their calls cost, and what their agents and their models did."""
    if "traced" not in request.fixturenames:
        yield
        return
    costs, recorder = (request.getfixturevalue(name) for name in ("costs", "recorder"))
    yield
    assert recorder.manager.flush(10)
    calls = [cost for span in recorder.spans.values() for kind, cost in span.events if kind == "cost"]
    total = picodollars(costs.total_cost)
    assert sum(picodollars(call.get("ag2.cost", 0)) for call in calls) == total
    assert sum(map(picodollars, costs.cost_by_agent().values())) == total
    assert sum(map(picodollars, costs.cost_by_model().values())) == total


QUIET = ("console_print", "agent_creation", "groupchat_creation", "agent_send_msg", "cost", "llm_create")


@pytest.fixture
def check(recorder: Recorder, costs: callboard.CostTrackerProvider) -> Callable[..., None]:
    """Checks that the run is this whole tree, and that its tokens are those that the servers served."""

    def check(expected: str, *servers: ModelServer, hidden: tuple[str, ...] = QUIET) -> None:
        assert recorder.tree(*hidden) == dedent(expected).strip()
        paid = [call for call in recorder.root.found("cost") if not call.get("callboard.cost.cached")]
        tokens = (sum(call[f"ag2.llm.{way}_tokens"] for call in paid) for way in ("input", "output"))
        assert tuple(tokens) == served(*servers) > (0, 0)
        assert costs.total_cost > 0

    return check


def picodollars(usd: float) -> int:
    """As exact as costs are kept."""
    return round(usd * 10**12)
