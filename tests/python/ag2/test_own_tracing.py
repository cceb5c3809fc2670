"""AG2's own tracing (`autogen.opentelemetry`) beside callboard's: said once, nothing twice, and nothing unseen."""

from __future__ import annotations

import contextlib

import callboard
import pytest
from autogen import register_function
from autogen.oai import client as oai_client
from callboard import CostTrackerProvider, OpenTelemetryProvider, telemetry_context
from callboard.traces import ag2_own
from conftest import Recorder, served, speaker
from model_server import Answer, ToolCall
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from receiver import Receiver
from test_chat import MODES, chat

tracing = pytest.importorskip("autogen.opentelemetry", reason="this version of AG2 does not trace itself")

WHEN = ("before", "within", "in an earlier run")


@pytest.fixture
def own(monkeypatch):
    """AG2's own tracing, switched on for some agents and for model calls until the test is over; what it exports."""
    monkeypatch.setattr(ag2_own, "_told", set())
    monkeypatch.setattr(oai_client.OpenAIWrapper, "create", oai_client.OpenAIWrapper.create)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def switch_on(*agents):
        tracing.instrument_llm_wrapper(tracer_provider=provider)
        for agent in agents:
            tracing.instrument_agent(agent, tracer_provider=provider)

    switch_on.spans = exporter.get_finished_spans
    switch_on.provider = provider
    return switch_on


@contextlib.contextmanager
def on(own, when, traced, *agents):
    """A run of these agents, which trace themselves since before it, or from its beginning, or an earlier one's."""
    if when == "before":
        own(*agents)
    elif when == "in an earlier run":
        with telemetry_context(callboard.InstrumentationManager()):
            own(*agents)
    with traced():
        if when == "within":
            own(*agents)
        yield


def double(x: int) -> int:
    return 2 * x


def team(serve):
    """Two who talk, one of whom has a tool; what the model says in a chat of two rounds."""
    server = serve(Answer(tool_calls=[ToolCall("double", {"x": 2})]), "It is 4.", "Bye.")
    jack, emma = speaker("jack", None, default_auto_reply="And?"), speaker("emma", server)
    register_function(double, caller=emma, executor=jack, description="Double a number.")
    return server, jack, emma


@pytest.mark.parametrize("when", WHEN)
def test_a_run_is_what_it_is_without(recorder, traced, serve, own, when, caplog):
    server, jack, emma = team(serve)
    costs = CostTrackerProvider()
    recorder.manager.register_provider(costs)
    with on(own, when, traced, jack, emma):
        result = jack.initiate_chat(emma, message="Double 2!", max_turns=2)
    plain = callboard.InstrumentationManager()
    without = Recorder(plain)
    plain.register_provider(without)
    _, jack, emma = team(serve)
    with telemetry_context(plain):
        jack.initiate_chat(emma, message="Double 2!", max_turns=2)
    assert recorder.tree("agent_creation", declined=True) == without.tree("agent_creation", declined=True)
    assert [len(recorder.root.all(kind)) for kind in ("chat", "reply", "tool_call", "llm_call")] == [1, 3, 1, 2]
    assert recorder.spent() == served(server)
    price = (server.input_tokens * 0.15 + server.output_tokens * 0.6) * 1e-6
    assert costs.total_cost == pytest.approx(price)
    assert "total_cost" not in result.cost["usage_including_cached_inference"]  # AG2's own tracing takes it out.
    [said] = [record.getMessage() for record in caplog.records if "own tracing" in record.getMessage()]
    assert "traces of their own" in said and "leave out instrument_agent" in said


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("when", WHEN)
async def test_sync_and_async(recorder, traced, serve, own, when, mode):
    server = serve("Hi.", "Bye.")
    jack, emma = speaker("jack", None, default_auto_reply="And?"), speaker("emma", server)
    with on(own, when, traced, jack, emma):
        await chat(jack, emma, mode, message="Hello?", max_turns=2)
    root = recorder.root
    assert [len(root.all(kind)) for kind in ("chat", "round", "reply", "llm_call")] == [1, 2, 3, 2]


def test_without_an_exporter_ag2s_spans_are_a_trace_of_their_own(recorder, traced, serve, own):
    """As they would be without callboard: nobody gets callboard's spans, so they must not be the parents."""

    def shape():
        spans = {span.context.span_id: span for span in own.spans()}
        return sorted((span.name, span.parent and spans[span.parent.span_id].name) for span in spans.values())

    _, jack, emma = team(serve)
    with on(own, "before", traced, jack, emma):
        jack.initiate_chat(emma, message="Double 2!", max_turns=2)
    found, traces = shape(), {span.context.trace_id for span in own.spans()}
    assert len(traces) == 1 and format(traces.pop(), "032x") not in {span.id for span in recorder.spans.values()}
    assert ("conversation jack", None) in found and ("chat gpt-4o-mini", "invoke_agent emma") in found
    assert len(found) == 7


@pytest.mark.parametrize("when", WHEN)
def test_exported_by_both_the_work_is_there_once(recorder, traced, serve, own, when, caplog):
    _, jack, emma = team(serve)
    with Receiver() as receiver:
        recorder.manager.register_provider(OpenTelemetryProvider(collector_endpoint=receiver.endpoint))
        tracer = own.provider.get_tracer("the program")
        with on(own, when, traced, jack, emma), tracer.start_as_current_span("of the program"):
            jack.initiate_chat(emma, message="Double 2!", max_turns=2)
        assert recorder.manager.shutdown()
    names = [span.name for span in receiver.spans] + [span.name for span in own.spans()]
    assert names.count("chat gpt-4o-mini") == 2
    assert names.count("invoke_agent emma") == 2
    assert names.count("execute_tool double") == 1
    [of_the_program] = own.spans()
    assert (of_the_program.name, dict(of_the_program.attributes)) == ("of the program", {})
    [said] = [record.getMessage() for record in caplog.records if "own tracing" in record.getMessage()]
    assert "left out" in said


def test_outside_of_runs_ag2_traces_as_ever(serve, own):
    _, jack, emma = team(serve)
    own(jack, emma)
    with telemetry_context(callboard.InstrumentationManager()):
        pass
    jack.initiate_chat(emma, message="Double 2!", max_turns=2)
    assert len(own.spans()) == 7


def test_what_ag2_kept_is_put_back(traced, serve, own):
    _, jack, emma = team(serve)
    own(jack, emma)

    def kept():
        cells = jack.initiate_chat.__closure__ + emma.generate_reply.__closure__
        return [getattr(cell.cell_contents, "__func__", None) for cell in cells]

    before = kept()
    with traced():
        assert kept() != before
    assert kept() == before


def test_agents_that_are_gone_are_not_kept(traced, serve, own):
    import gc
    import weakref

    _, jack, emma = team(serve)
    own(jack, emma)
    with traced():
        gone = weakref.ref(jack)
        del jack, emma
        gc.collect()
        assert gone() is None


def test_a_group(recorder, traced, serve, own):
    from autogen.agentchat import initiate_group_chat
    from autogen.agentchat.group.patterns import RoundRobinPattern

    server = serve("One.", "Two.", "Three.", "Four.")
    ana, ben = speaker("ana", server), speaker("ben", server)
    pattern = RoundRobinPattern(initial_agent=ana, agents=[ana, ben])
    tracing.instrument_pattern(pattern, tracer_provider=own.provider)
    own()
    with traced():
        initiate_group_chat(pattern=pattern, messages="Begin.", max_rounds=3)
    root = recorder.root
    assert len(root.all("group_chat")) == 1
    assert len(root.all("llm_call")) == len(server.exchanges) == 2
    assert [span["ag2.agent.recipient"] for span in root.all("reply")][:2] == ["chat_manager", "ana"]
    assert recorder.spent() == served(server)
