"""`autogen.beta` is not traced: said once, where a run uses it, and nowhere else."""

from __future__ import annotations

import gc

import pytest
from callboard.traces import beta

agents = pytest.importorskip("autogen.beta", reason="this version of AG2 has no such part")

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """AG2 makes a client for each turn and leaves it to the garbage collector, with its connections."""
    monkeypatch.setattr(beta, "_told", set())
    yield
    gc.collect()


def agent(server):
    from autogen.beta.config import OpenAIConfig

    config = OpenAIConfig(model="gpt-4o-mini", api_key="none", base_url=server.base_url)
    return agents.Agent("emma", config=config)


def said(caplog):
    return [record.getMessage() for record in caplog.records if "autogen.beta" in record.getMessage()]


async def test_it_is_said_once_where_it_is_used(recorder, traced, serve, caplog):
    emma = agent(serve("One.", "Two.", "Three."))
    await emma.ask("Hello?")
    assert said(caplog) == []
    with traced():
        answers = [await emma.ask("Hello?"), await emma.ask("Hello?")]
    assert [answer.response.content for answer in answers] == ["Two.", "Three."]
    [message] = said(caplog)
    assert "does not trace" in message
    assert recorder.root.children == []


async def test_a_run_that_does_not_use_it_says_nothing(traced, serve, caplog):
    agent(serve())
    with traced():
        pass
    assert said(caplog) == []
