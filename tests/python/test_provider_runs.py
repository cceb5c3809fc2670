"""One provider and several runs: which of them is read, and how a program names it."""

from __future__ import annotations

import pytest
from callboard import (
    CostTrackerProvider,
    InstrumentationManager,
    MermaidDiagramProvider,
    SpanContext,
    SpanKind,
    current_span,
    telemetry_context,
)
from harness import Recorder


@pytest.fixture
def manager():
    return InstrumentationManager()


@pytest.fixture
def costs(manager):
    costs = CostTrackerProvider()
    manager.register_provider(costs)
    return costs


@pytest.fixture
def diagram(manager):
    diagram = MermaidDiagramProvider()
    manager.register_provider(diagram)
    return diagram


def a_run(manager, agent, usd):
    """A run in which an agent says something, at this cost; its root, and a span within."""
    about = {"ag2.agent.sender": agent, "ag2.agent.recipient": "emma"}
    with telemetry_context(manager, agent):
        root = current_span()
        chat = manager.start_span(SpanKind.CHAT, attributes=about)
        manager.record_event("agent_send_msg", {**about, "ag2.message": f"I am {agent}.", "ag2.silent": False})
        manager.record_event("cost", {"ag2.cost": usd, "ag2.agent.name": agent, "ag2.llm.model": f"of {agent}"})
    return root, chat


def test_each_way_to_name_a_run(manager, costs, diagram):
    root, chat = a_run(manager, "jack", 0.25)
    a_run(manager, "bob", 0.5)
    for run in (root, chat, root.trace_id):
        assert costs.cost_by_agent(run=run) == {"jack": 0.25}
        assert diagram.generate_sequence_diagram(run=run).splitlines()[3:] == ["    jack->>emma: I am jack."]


def test_what_a_provider_is_told_of_a_span_names_its_run_too(manager, costs):
    recorder = Recorder()
    manager.register_provider(recorder)
    a_run(manager, "jack", 0.25)
    a_run(manager, "bob", 0.5)
    assert manager.flush()
    assert [costs.cost_by_agent(run=call.context) for call in recorder.named("end_span")] == [
        *[{"jack": 0.25}] * 2,
        *[{"bob": 0.5}] * 2,
    ]


def test_costs_cover_all_runs_unless_one_is_named(manager, costs):
    (one, _), (two, _) = a_run(manager, "jack", 0.25), a_run(manager, "bob", 0.5)
    assert (costs.total_cost, len(costs.cost_history)) == (0.75, 2)
    assert costs.cost_by_agent() == {"bob": 0.5, "jack": 0.25}
    assert costs.cost_by_model(run=one) == {"of jack": 0.25}
    assert costs.cost_by_chat(run=two) == {"bob → emma": 0.5}
    assert [entry["ag2.agent.name"] for entry in costs.history(run=two)] == ["bob"]
    assert costs.history() == costs.cost_history
    assert costs.report(run=one).startswith("Cost: $0.250000 (1 cost event)")
    assert costs.report().startswith("Cost: $0.750000 (2 cost events)")
    assert costs.cost_by_message(run=one) == []
    assert costs.runs_dropped == 0


def test_what_the_properties_give_of_one_run(manager, costs):
    with telemetry_context(manager):
        one = current_span()
        manager.record_event(
            "cost", {"ag2.llm.model": "mine", "ag2.llm.input_tokens": 7, "callboard.cost.unpriced": True}
        )
        manager.record_event("cost", {"callboard.cost.cached": True, "callboard.cost.saved": 0.125})
    a_run(manager, "bob", 0.5)
    unpriced = [{"model": "mine", "calls": 1, "input_tokens": 7, "output_tokens": 0}]
    of_one = {"total_cost": 0.0, "cost_events": 0, "saved": 0.125, "cached_answers": 1, "unpriced": unpriced}
    assert costs.summary(run=one) == of_one
    assert costs.summary() == {**of_one, "total_cost": 0.5, "cost_events": 1}
    assert (costs.saved, costs.unpriced) == (0.125, unpriced)


def test_a_diagram_shows_the_last_run_that_began(manager, diagram):
    a_run(manager, "jack", 0.25)
    assert "I am jack." in diagram.generate_sequence_diagram()
    with telemetry_context(manager):
        assert diagram.generate_sequence_diagram() == "sequenceDiagram"
    a_run(manager, "bob", 0.5)
    assert "I am jack." not in diagram.generate_sequence_diagram()
    assert [sender for _, sender, *_ in diagram.interactions] == ["jack", "bob"]
    assert list(diagram.participants) == ["jack", "emma", "bob"]
    assert diagram.runs_dropped == 0


def test_a_run_is_read_while_it_goes_on(manager, costs, diagram):
    with telemetry_context(manager):
        assert costs.cost_by_agent(run=current_span()) == {}
        manager.record_event("cost", {"ag2.cost": 0.25})
        assert costs.summary(run=current_span())["total_cost"] == 0.25
        assert diagram.generate_sequence_diagram(run=current_span()) == "sequenceDiagram"


READERS = [
    *("cost_by_agent", "cost_by_model", "cost_by_chat", "cost_by_message", "summary", "history", "report"),
    "generate_sequence_diagram",
]


@pytest.mark.parametrize("reader", READERS)
def test_a_run_that_cannot_be_found_is_an_error_that_names_the_argument(reader, manager, costs, diagram):
    a_run(manager, "jack", 0.25)
    read = getattr(costs, reader, None) or getattr(diagram, reader)
    with pytest.raises(TypeError, match=r"^run takes a SpanContext of the run or its trace id, not int$"):
        read(run=42)
    with pytest.raises(ValueError, match=r'^run takes .* trace id, which is 32 hex digits, not "my run"$'):
        read(run="my run")
    with pytest.raises(ValueError, match=r"^run takes .* not a SpanContext that belongs to no run$"):
        read(run=SpanContext(SpanKind.CHAT))
    with pytest.raises(ValueError, match=r"^run is not known to this provider: nothing was recorded"):
        read(run="f" * 32)
    with telemetry_context(InstrumentationManager()):
        elsewhere = current_span()
    with pytest.raises(ValueError, match=r"^run is not known"):
        read(run=elsewhere)
    assert read(run=None) == read()
